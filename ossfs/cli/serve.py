"""`ossfs serve`: the embedded OSS and KMS, until SIGTERM or SIGINT."""

import argparse
import contextlib
import json
import os
import secrets
import signal
from pathlib import Path

import trio

from ossfs import log
from ossfs.cli.arguments import CommandParser
from ossfs.config.address import parse_bucket_url
from ossfs.devserver import Credential, Server, ServerConfig, TlsConfig, serve
from ossfs.errors import CommandError, UsageError


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("--root", type=Path, required=True, metavar="DIR", help="where the data is kept")
    add("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]")
    add("--port", type=_port, default=0, metavar="N", help="port to listen on [a free one]")
    add("--kms-port", type=_port, default=0, metavar="N", help="port of the KMS [a free one]")
    add("--ready-file", type=Path, metavar="FILE", help="gets the JSON line of stdout as well")
    add("--access-key-id", default="ossfs-demo", metavar="ID", help="who may ask [ossfs-demo]")
    add("--access-key-secret", metavar="SECRET", help="the secret of that id [a random one]")
    add("--buckets", type=_buckets, default=(), metavar="A,B", help="buckets to make at the start")
    add("--latency", type=_amount, default=0.0, metavar="MS", help="wait before each answer [0]")
    add("--bandwidth", type=_amount, metavar="MB/S", help="10^6 bytes a second each way [no limit]")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="RULE",
        help="a fault to commit, as op=PutObject,times=2,status=503; may be repeated",
    )
    add("--tls", action="store_true", help="https, with a certificate of its own making")
    add("--tls-cert", type=Path, metavar="FILE", help="https, with this certificate (PEM)")
    add("--tls-key", type=Path, metavar="FILE", help="its key, if that is in another file")
    add("--tls-max", choices=("1.2", "1.3"), help="newest version of TLS to offer [1.3]")
    add("--kms-latency", type=_amount, default=0.0, metavar="MS", help="the same for the KMS [0]")
    add(
        "--kms-fault",
        action="append",
        default=[],
        metavar="RULE",
        help="a fault of the KMS, as op=Decrypt,code=Rejected.Throttling; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve; says on stdout and in --ready-file, in one JSON line, how to reach it."""
    log.configure(level="warning")
    if arguments.bandwidth == 0:
        raise UsageError("--bandwidth: must be above 0")
    secret = arguments.access_key_secret or secrets.token_urlsafe(24)
    config = ServerConfig(
        root=arguments.root,
        host=arguments.host,
        port=arguments.port,
        kms_port=arguments.kms_port,
        credentials={arguments.access_key_id: Credential(secret=secret)},
        latency_ms=arguments.latency,
        bandwidth_mb=arguments.bandwidth,
        faults=arguments.fault,
        kms_latency_ms=arguments.kms_latency,
        kms_faults=arguments.kms_fault,
        tls=_tls(arguments),
    )
    trio.run(_serve, config, arguments.buckets, arguments.ready_file)
    return 0


def _tls(arguments: argparse.Namespace) -> TlsConfig | None:
    if arguments.tls_key is not None and arguments.tls_cert is None:
        raise UsageError("--tls-key: needs --tls-cert")
    if not arguments.tls and arguments.tls_cert is None:
        if arguments.tls_max is not None:
            raise UsageError("--tls-max: needs --tls or --tls-cert")
        return None
    return TlsConfig(
        certificate=arguments.tls_cert,
        private_key=arguments.tls_key,
        maximum=arguments.tls_max or "1.3",
    )


async def _serve(config: ServerConfig, buckets: tuple[str, ...], ready_file: Path | None) -> None:
    failure: CommandError | None = None
    # A failure is carried out of the nursery, which would wrap it into a group.
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            try:
                _announce(await nursery.start(serve, config), buckets, ready_file)
                await anext(signals)
            except UsageError as error:
                failure = error
            except OSError as error:
                what = error.strerror or "is in use"
                failure = CommandError(f"cannot serve {config.root} at {config.host}: {what}")
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _announce(server: Server, buckets: tuple[str, ...], ready_file: Path | None) -> None:
    for name in buckets:
        server.create_bucket(name)
    (key_id, credential), *_ = server.config.credentials.items()
    said: dict[str, object] = {
        "endpoint": server.endpoint,
        "kms_endpoint": server.kms.endpoint,
        "region": server.config.region,
        "access_key_id": key_id,
        "access_key_secret": credential.secret,
        "buckets": list(buckets),
    }
    if server.ca_bundle is not None:
        said["ca_bundle"] = str(server.ca_bundle.absolute())
    line = json.dumps(said)
    if ready_file is not None:
        _write_whole(ready_file, line + "\n")
    print(line, flush=True)


def _write_whole(path: Path, text: str) -> None:
    """Whoever waits for *path* never reads half of it; it holds a secret, so mode 0600."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return number


def _buckets(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    for name in names:
        try:
            url = parse_bucket_url(f"oss://{name}")
        except UsageError:
            url = None
        if url is None or url.prefix:
            raise argparse.ArgumentTypeError(f"{name!r} is not a bucket name")
    return names
