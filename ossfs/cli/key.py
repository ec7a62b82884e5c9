"""`ossfs key`: what stands in a keyring, changing it, and trying its keys."""

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ossfs.cli.arguments import CommandParser
from ossfs.config import values
from ossfs.config.address import kms_endpoint_of, parse_endpoint, parse_region
from ossfs.config.resolve import check_encrypted
from ossfs.config.sections import Connection
from ossfs.errors import KeyProblem, UsageError
from ossfs.keys import keyring_editing, keyring_file
from ossfs.keys.keyring_file import AesEntry, Entry, KmsEntry, RsaEntry
from ossfs.keys.kms_context import read_context
from ossfs.keys.masters import load_file


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument("action", choices=tuple(_ACTIONS), help="what to do")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="the key; `test` takes several, or none for all"
    )
    parser.add_argument(
        "--keyring", type=Path, metavar="FILE", help="the TOML file [OSSFS_KEYRING]"
    )
    kms = parser.add_argument_group("keys in a KMS, to try them")
    kms.add_argument("--region", metavar="REGION", help="whose KMS, for keys without an endpoint")
    kms.add_argument(
        "--credentials-file", type=Path, metavar="FILE", help="access key [the environment]"
    )
    kms.add_argument(
        "--allow-http", action="store_true", help="permit plain http to another machine"
    )
    new = parser.add_argument_group("the key to add")
    new.add_argument("--rsa-key", type=Path, metavar="PEM", help="an RSA key")
    new.add_argument(
        "--rsa-padding",
        choices=("pkcs1", "oaep-sha1"),
        default="pkcs1",
        help="how it wraps data keys [pkcs1]",
    )
    new.add_argument("--key-passphrase-file", type=Path, metavar="FILE", help="its passphrase")
    new.add_argument("--aes-key", type=Path, metavar="FILE", help="a symmetric key")
    new.add_argument("--kms-key-id", metavar="ID|ARN|alias/NAME", help="a key in the KMS")
    new.add_argument("--kms-endpoint", metavar="URL", help="where, if not in the bucket's region")
    new.add_argument(
        "--kms-coding",
        choices=("single", "double"),
        default="single",
        help="how the KMS's ciphertext is stored [single]",
    )
    context = new.add_mutually_exclusive_group()
    context.add_argument(
        "--kms-context", metavar="JSON", help="encryption context, as far as it is no secret"
    )
    context.add_argument(
        "--kms-context-file", type=Path, metavar="FILE", help="file with the encryption context"
    )
    new.add_argument("--matdesc", metavar="JSON", help="description stored with each file")
    new.add_argument("--active", action="store_true", help="from now on it encrypts new files")


def run(arguments: argparse.Namespace) -> int:
    """Do it. Raises KeyProblem, UsageError."""
    if arguments.keyring is None and os.environ.get("OSSFS_KEYRING"):
        arguments.keyring = Path(os.environ["OSSFS_KEYRING"])
    if arguments.keyring is None:
        raise UsageError("no keyring is given: --keyring FILE")
    arguments.keyring = arguments.keyring.absolute()
    return _ACTIONS[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    """One line for each key; nothing is loaded, so nothing is asked for."""
    _expect(arguments, 0)
    ring = keyring_file.read(arguments.keyring)
    width = max(len(entry.name) for entry in ring.entries)
    for entry in ring.entries:
        mark = "*" if entry.name == ring.active else " "
        described = json.dumps(dict(entry.matdesc), sort_keys=True) if entry.matdesc else ""
        print(f"{mark} {entry.name:<{width}}  {entry.kind}  {_where(entry)}  {described}".rstrip())
    return 0


def _where(entry: Entry) -> str:
    return entry.key_id if isinstance(entry, KmsEntry) else str(entry.file)


def _add(arguments: argparse.Namespace) -> int:
    _expect(arguments, 1)
    entry = _entry(arguments)
    _check_characters(entry)
    _check_endpoint(entry)
    _check_files(entry)
    keyring_editing.add(arguments.keyring, entry, active=arguments.active)
    active = keyring_file.read(arguments.keyring).active
    print(
        f"{entry.name} opens files now" + (" and encrypts new ones" if active == entry.name else "")
    )
    return 0


def _check_files(entry: Entry) -> None:
    """That all of the key that is on this machine can be used. Raises KeyProblem."""
    if not isinstance(entry, KmsEntry):
        load_file(entry)
    elif entry.context_file is not None:
        read_context(entry.context_file)


def _check_endpoint(entry: Entry) -> None:
    """Raises UsageError."""
    if isinstance(entry, KmsEntry) and entry.endpoint is not None:
        try:
            parse_endpoint(entry.endpoint)
        except ValueError as error:
            raise UsageError(f"--kms-endpoint: {error}") from None


def _entry(arguments: argparse.Namespace) -> Entry:
    kinds = [arguments.rsa_key, arguments.aes_key, arguments.kms_key_id]
    if sum(kind is not None for kind in kinds) != 1:
        raise UsageError("add takes one of --rsa-key, --aes-key and --kms-key-id")
    name, matdesc = arguments.names[0], _json(arguments.matdesc, "--matdesc", values.matdesc)
    if arguments.rsa_key is not None:
        passphrase = arguments.key_passphrase_file
        return RsaEntry(
            name=name,
            file=arguments.rsa_key.absolute(),
            passphrase_file=None if passphrase is None else passphrase.absolute(),
            padding=arguments.rsa_padding,
            matdesc=matdesc,
        )
    if arguments.aes_key is not None:
        return AesEntry(name=name, file=arguments.aes_key.absolute(), matdesc=matdesc)
    context_file = arguments.kms_context_file
    return KmsEntry(
        name=name,
        key_id=arguments.kms_key_id,
        endpoint=arguments.kms_endpoint,
        coding=arguments.kms_coding,
        context=_json(arguments.kms_context, "--kms-context", values.context),
        context_file=None if context_file is None else context_file.absolute(),
        matdesc=matdesc,
    )


def _check_characters(entry: Entry) -> None:
    """That a keyring, which is UTF-8, can hold it. Raises UsageError."""
    for known in dataclasses.fields(entry):
        value = getattr(entry, known.name)
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise UsageError(f"{str(value)!r} is not UTF-8, as a keyring is") from None


def _json(
    text: str | None, option: str, read: Callable[[str], Mapping[str, str]]
) -> Mapping[str, str]:
    try:
        return {} if text is None else read(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _use(arguments: argparse.Namespace) -> int:
    _expect(arguments, 1)
    name = arguments.names[0]
    _check_files(keyring_file.read(arguments.keyring).named(name))
    keyring_editing.use(arguments.keyring, name)
    print(f"{name} encrypts new files, in every mount that starts from now on")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    _expect(arguments, 1)
    keyring_editing.remove(arguments.keyring, arguments.names[0])
    print(
        f"{arguments.names[0]} is out of the keyring; files that only it opens cannot be read now."
        " The key itself is where it was"
    )
    return 0


def _test(arguments: argparse.Namespace) -> int:
    """Wrap and unwrap with each; exit code 4 and a line for each that could not."""
    ring = keyring_file.read(arguments.keyring)
    entries = [ring.named(name) for name in arguments.names] or ring.entries
    # Loads all of the program, which takes a while.
    from ossfs.compose.clients import try_keys  # noqa: PLC0415

    failed = 0
    connection = Connection(
        credentials_file=arguments.credentials_file, allow_http=_allows_http(arguments)
    )
    endpoint = _kms_endpoint(arguments)
    check_encrypted("--kms-endpoint", endpoint, connection)
    for trial in try_keys(entries, kms_endpoint=endpoint, connection=connection):
        print(f"{trial.name}: {trial.said}", flush=True)
        failed += not trial.works
    if failed:
        raise KeyProblem(f"{failed} of {len(entries)} keys cannot be used")
    return 0


def _allows_http(arguments: argparse.Namespace) -> bool:
    try:
        return arguments.allow_http or values.switch(os.environ.get("OSSFS_ALLOW_HTTP") or "off")
    except ValueError as error:
        raise UsageError(f"OSSFS_ALLOW_HTTP: {error}") from None


def _kms_endpoint(arguments: argparse.Namespace) -> str:
    """Of the keys that name none; "" where nothing says it."""
    given = arguments.kms_endpoint or os.environ.get("OSSFS_KMS_ENDPOINT", "")
    region = arguments.region or os.environ.get("OSSFS_REGION", "")
    try:
        if given:
            return parse_endpoint(given)
        return kms_endpoint_of(parse_region(region)) if region else ""
    except ValueError as error:
        raise UsageError(f"the KMS: {error}") from None


def _expect(arguments: argparse.Namespace, count: int) -> None:
    if len(arguments.names) != count:
        wanted = "one NAME" if count else "no NAME"
        raise UsageError(f"key {arguments.action} takes {wanted}")


_ACTIONS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "add": _add,
    "use": _use,
    "remove": _remove,
    "test": _test,
}
