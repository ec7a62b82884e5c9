"""The settings of a mount, one frozen section for each part of the program that needs them.

Sizes are bytes, durations seconds. No section holds a secret: keys and credentials are named by
file and read where they are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ossfs.config import address, values
from ossfs.config.conversion import Wanted
from ossfs.config.options import option
from ossfs.config.policies import Rule
from ossfs.config.server_side import ServerSide

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The bucket, the prefix in it, and the address of the service.

    prefix: without slashes at its ends, "" for the whole bucket; endpoint: scheme://host[:port];
    endpoint and region are never empty once resolved.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = field(
        default="",
        metadata=option(
            address.parse_endpoint,
            "address of OSS in the bucket's region",
            metavar="URL",
            default="from the region",
        ),
    )
    region: str = field(
        default="",
        metadata=option(
            address.parse_region,
            "region of the bucket, as cn-hangzhou",
            metavar="REGION",
            default="from the endpoint",
        ),
    )
    path_style: Literal["auto", "on", "off"] = field(
        default="auto",
        metadata=option(
            values.choice("auto", "on", "off"),
            "bucket in the path instead of the host name; auto: for an IP address or localhost",
            metavar="auto|on|off",
        ),
    )
    signature: Literal["v4", "v1"] = field(
        default="v4",
        metadata=option(
            values.choice("v4", "v1"),
            "how requests to OSS are signed; v1 for servers that do not know v4",
            metavar="v4|v1",
        ),
    )

    @property
    def uses_path_style(self) -> bool:
        """Whether the bucket stands in the path of a request."""
        if self.path_style == "auto":
            return address.is_address(self.endpoint)
        return self.path_style == "on"

    @property
    def url(self) -> str:
        """oss://BUCKET[/PREFIX]."""
        return str(address.BucketUrl(self.bucket, self.prefix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How the service is talked to.

    timeout: without a byte moving; credentials_file None: the environment.
    """

    credentials_file: Path | None = field(
        default=None,
        metadata=option(
            values.path,
            "file with access key id, secret and, if any, token",
            metavar="FILE",
            default="the environment",
        ),
    )
    tls_min: Literal["1.2", "1.3"] = field(
        default="1.2",
        metadata=option(values.choice("1.2", "1.3"), "lowest version of TLS", metavar="1.2|1.3"),
    )
    ca_bundle: Path | None = field(
        default=None,
        metadata=option(
            values.path,
            "certificates (PEM) to trust instead of the system's",
            metavar="FILE",
            default="the system's",
        ),
    )
    allow_http: bool = field(
        default=False,
        metadata=option(values.switch, "permit plain http to another machine"),
    )
    retries: int = field(
        default=5,
        metadata=option(
            values.integer(0, 100), "repetitions of a request that is safe to repeat", metavar="N"
        ),
    )
    timeout: float = field(
        default=60.0,
        metadata=option(
            values.seconds(1, 3600),
            "time without progress after which a request has failed",
            metavar="S",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Whether and with what new files are encrypted, and what opens the files that are there.

    encrypt is "" only before it is resolved, and where the active key of the keyring decides;
    rsa_keys: all unwrap, the first wraps; kms_key_id: "" for none; kms_endpoint is never empty once
    resolved.
    """

    encrypt: Literal["", "rsa", "kms", "aes", "none"] = field(
        default="",
        metadata=option(
            values.choice("rsa", "kms", "aes", "none"),
            "client-side encryption of new files",
            metavar="rsa|kms|aes|none",
            default="as the key that is given, else an error",
        ),
    )
    rsa_keys: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.path,
            "RSA key; may be repeated: all unwrap, the first wraps; a public key alone can write",
            metavar="PEM",
            name="rsa-key",
            many=True,
        ),
    )
    rsa_padding: Literal["pkcs1", "oaep-sha1"] = field(
        default="pkcs1",
        metadata=option(
            values.choice("pkcs1", "oaep-sha1"),
            "how data keys are wrapped",
            metavar="pkcs1|oaep-sha1",
        ),
    )
    key_passphrase_file: Path | None = field(
        default=None,
        metadata=option(values.path, "file with the passphrase of the RSA keys", metavar="FILE"),
    )
    aes_key: Path | None = field(
        default=None,
        metadata=option(
            values.path,
            "symmetric key: file of 32 raw bytes or 64 hex digits, readable by its owner alone",
            metavar="FILE",
        ),
    )
    keyring: Path | None = field(
        default=None,
        metadata=option(
            values.path,
            "TOML file that names all keys: the active one encrypts, every one opens",
            metavar="FILE",
        ),
    )
    kms_key_id: str = field(
        default="",
        metadata=option(
            values.text,
            "key in the KMS that wraps data keys, and unwraps them whatever encrypts new files",
            metavar="ID|ARN|alias/NAME",
        ),
    )
    kms_endpoint: str = field(
        default="",
        metadata=option(
            address.parse_endpoint,
            "address of the KMS, or of a dedicated instance",
            metavar="URL",
            default="from the region",
        ),
    )
    kms_coding: Literal["single", "double"] = field(
        default="single",
        metadata=option(
            values.choice("single", "double"),
            "how the KMS's ciphertext is stored: as most SDKs do it, or as oss2; both are read",
            metavar="single|double",
        ),
    )
    kms_context: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata=option(
            values.context,
            "encryption context (object of strings); reading tries it, then none unless"
            " --integrity is require",
            metavar="JSON",
        ),
    )
    kms_signature: Literal["acs3", "rpc-v1"] = field(
        default="acs3",
        metadata=option(
            values.choice("acs3", "rpc-v1"),
            "how requests to the KMS are signed",
            metavar="acs3|rpc-v1",
        ),
    )
    matdesc: Mapping[str, str] = field(
        default_factory=dict,
        metadata=option(
            values.matdesc,
            "description stored with each file and used to find the key (object of strings)",
            metavar="JSON",
        ),
    )
    dialect: Literal["current", "deprecated"] = field(
        default="current",
        metadata=option(
            values.choice("current", "deprecated"),
            "form in which new files are stored; deprecated: that of oss2 2.9, not authenticated",
            metavar="current|deprecated",
        ),
    )
    integrity: Literal["require", "prefer", "off"] = field(
        default="prefer",
        metadata=option(
            values.choice("require", "prefer", "off"),
            "files without authenticity tags: refused, read and marked, or nothing checked at all",
            metavar="require|prefer|off",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How much moves at a time, and the memory it may take."""

    parallel: int = field(
        default=8,
        metadata=option(
            values.integer(1, 64), "requests with file contents at a time", metavar="N"
        ),
    )
    part_size: int = field(
        default=8 * MIB,
        metadata=option(
            values.size(256 * KIB, GIB),
            "part of a multipart upload, multiple of 256KiB",
            metavar="SIZE",
        ),
    )
    read_ahead: int = field(
        default=16 * MIB,
        metadata=option(
            values.size(0, GIB), "fetched ahead of a file that is read in order", metavar="SIZE"
        ),
    )
    memory: int = field(
        default=128 * MIB,
        metadata=option(
            values.size(16 * MIB, 1024 * GIB), "for file contents on their way", metavar="SIZE"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOptions:
    """What the kernel and the people on this machine see of it.

    uid, gid None: as stored, and who mounts where nothing is stored; given, every file is theirs.
    umask None: permission bits as stored; given, every file has 0777 without these.
    state_dir: lock, control socket and encrypted scratch files.
    """

    uid: int | None = field(
        default=None,
        metadata=option(
            values.integer(0, 2**32 - 2), "owner of every file", metavar="ID", default="as stored"
        ),
    )
    gid: int | None = field(
        default=None,
        metadata=option(
            values.integer(0, 2**32 - 2), "group of every file", metavar="ID", default="as stored"
        ),
    )
    umask: int | None = field(
        default=None,
        metadata=option(
            values.octal,
            "permission bits withheld from every file",
            metavar="OCTAL",
            default="as stored",
        ),
    )
    allow_other: bool = field(
        default=False,
        metadata=option(values.switch, "other users may enter, as the permission bits say"),
    )
    read_only: bool = field(
        default=False, metadata=option(values.switch, "nothing can be changed through this mount")
    )
    no_exec: bool = field(
        default=False, metadata=option(values.switch, "programs in it cannot be executed")
    )
    nonempty: bool = field(
        default=False, metadata=option(values.switch, "mount over a directory that is not empty")
    )
    attr_ttl: float = field(
        default=5.0,
        metadata=option(
            values.seconds(0, 86400), "how old attributes and names may be", metavar="S"
        ),
    )
    negative_ttl: float = field(
        default=5.0,
        metadata=option(
            values.seconds(0, 86400), "how old the absence of a name may be", metavar="S"
        ),
    )
    state_dir: Path = field(
        default=Path(),
        metadata=option(
            values.path,
            "lock, control socket and encrypted scratch files",
            metavar="DIR",
            default="$XDG_STATE_HOME/ossfs, /var/lib/ossfs for root, else ~/.local/state/ossfs",
        ),
    )
    open_check: Literal["always", "ttl"] = field(
        default="always",
        metadata=option(
            values.choice("always", "ttl"),
            "each open asks OSS for the newest version, or trusts attributes for --attr-ttl",
            metavar="always|ttl",
        ),
    )
    conflict: Literal["keep-both", "last-wins", "fail"] = field(
        default="keep-both",
        metadata=option(
            values.choice("keep-both", "last-wins", "fail"),
            "another client changed a file since it was opened: ours goes beside it, replaces it,"
            " or stays staged",
            metavar="keep-both|last-wins|fail",
        ),
    )
    list_attrs: Literal["full", "fast"] = field(
        default="full",
        metadata=option(
            values.choice("full", "fast"),
            "listings ask for the attributes of each file, or tell names alone",
            metavar="full|fast",
        ),
    )
    kernel_writeback: bool = field(
        default=False,
        metadata=option(
            values.switch, "the kernel gathers writes; only where no other client writes"
        ),
    )
    status_xattrs: Literal["listed", "hidden"] = field(
        default="listed",
        metadata=option(
            values.choice("listed", "hidden"),
            "whether getfattr -d lists the user.ossfs.* attributes",
            metavar="listed|hidden",
        ),
    )
    foreground: bool = field(
        default=False,
        metadata=option(values.switch, "stay in the foreground", short="-f"),
    )
    allow_reupload: bool = field(
        default=False,
        metadata=option(
            values.switch, "upload files above 1GiB again where only that keeps changed attributes"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Where the log goes and what stands in it."""

    log_file: Path | None = field(
        default=None,
        metadata=option(
            values.path,
            "where the log goes",
            metavar="FILE",
            default="stderr in the foreground, else the file log in the mount's state directory",
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info",
        metadata=option(
            values.choice("debug", "info", "warning", "error"),
            "what is logged",
            metavar="debug|info|warning|error",
        ),
    )
    log_format: Literal["text", "json"] = field(
        default="text",
        metadata=option(values.choice("text", "json"), "form of a line", metavar="text|json"),
    )
    log_names: bool = field(
        default=False, metadata=option(values.switch, "names of files may stand in the log")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MountConfig:
    """Everything a mount is built from; mountpoint is absolute; policies: rules by path, as
    written; config_file: the TOML file that was read.
    """

    config_file: Path | None = field(default=None, compare=False)
    mountpoint: Path
    where: Where
    connection: Connection
    keys: Keys
    server_side: ServerSide
    policies: tuple[Rule, ...] = ()
    transfer: Transfer
    mount: MountOptions
    log: Log


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionConfig:
    """Everything a conversion is built from; policies: rules by path, as written; scratch:
    directory of its encrypted scratch files.
    """

    wanted: Wanted
    where: Where
    connection: Connection
    keys: Keys
    server_side: ServerSide
    policies: tuple[Rule, ...] = ()
    transfer: Transfer
    scratch: Path
