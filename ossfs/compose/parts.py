"""A file system on a bucket, built from the configuration."""

import json
import os

from ossfs.config.sections import MountConfig, MountOptions
from ossfs.config.state import MountState, mount_state
from ossfs.errors import (
    MountPointError,
)
from ossfs.format.envelope import Envelope
from ossfs.keys.keyring import Keyring
from ossfs.staging.area import StagingArea
from ossfs.store.base import ObjectStore, ServerEncryption
from ossfs.transfer.copier import Copier
from ossfs.transfer.limits import TransferLimits
from ossfs.transfer.opener import Opener
from ossfs.transfer.pool import ReadPool
from ossfs.transfer.sending import Sender
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity
from ossfs.vfs.assembly import Parts, Place, assemble
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.kernel import Behaviour, KernelCache, Spawn
from ossfs.vfs.policy import Policy
from ossfs.vfs.remote import Defaults

REUPLOAD_MAX = 1 << 30
ANY_SIZE = 1 << 62


def build_filesystem(
    config: MountConfig,
    keyring: Keyring,
    store: ObjectStore,
    spawn: Spawn,
    *,
    policy: Policy,
    kernel: KernelCache,
    rule: ServerEncryption | None,
) -> FileSystem:
    """A file system on *store*, which shares the memory that the configuration grants.

    policy: what new files get; rule: the bucket's own server-side encryption, as far as is known.
    """
    share = config.transfer.memory // 4
    integrity = Integrity(config.keys.integrity)
    prefix = config.where.prefix
    writing = TransferLimits(requests=config.transfer.parallel, memory_bytes=share)
    reading = TransferLimits(requests=config.transfer.parallel, memory_bytes=share)
    sender = Sender(store, writing, part_size=config.transfer.part_size)
    pool = ReadPool(
        store,
        spawn=spawn,
        limits=reading,
        cache_bytes=share,
        read_ahead=config.transfer.read_ahead,
    )
    opener = Opener(pool, keyring, integrity)
    return assemble(
        Parts(
            store=store,
            uploader=Uploader(
                sender,
                policy.default.protection.source,
                prefix=prefix,
                encryption=policy.default.protection.server,
            ),
            policy=policy,
            opener=opener,
            copier=Copier(sender, opener),
            staging=StagingArea(state_of(config).scratch, share, spawn=spawn),
            key_name=lambda envelope: _key_name(keyring, envelope),
            spawn=spawn,
        ),
        Place(
            bucket=config.where.bucket,
            prefix=prefix,
            defaults=_defaults(config.mount),
            rule=rule,
        ),
        _behaviour(config.mount),
        checks=integrity is not Integrity.OFF,
        kernel=kernel,
    )


def _key_name(keyring: Keyring, envelope: Envelope) -> str:
    """How the key of an object is shown: by its name here, else by what the object says of it."""
    name = keyring.name_for(envelope)
    if name is not None:
        return name
    return json.dumps(dict(envelope.matdesc), sort_keys=True) if envelope.matdesc else "unknown"


def _defaults(mount: MountOptions) -> Defaults:
    return Defaults(
        uid=os.getuid() if mount.uid is None else mount.uid,
        gid=os.getgid() if mount.gid is None else mount.gid,
    )


def _behaviour(mount: MountOptions) -> Behaviour:
    return Behaviour(
        attr_ttl=mount.attr_ttl,
        negative_ttl=mount.negative_ttl,
        check_at_open=mount.open_check == "always",
        read_only=mount.read_only,
        show_uid=mount.uid,
        show_gid=mount.gid,
        show_umask=mount.umask,
        kernel_writeback=mount.kernel_writeback,
        list_names_only=mount.list_attrs == "fast",
        list_status=mount.status_xattrs == "listed",
        conflict=mount.conflict,
        reupload_max=ANY_SIZE if mount.allow_reupload else REUPLOAD_MAX,
    )


def state_of(config: MountConfig) -> MountState:
    state = mount_state(
        config.mount.state_dir,
        bucket=config.where.bucket,
        prefix=config.where.prefix,
        mountpoint=config.mountpoint,
    )
    try:
        state.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MountPointError(
            f"{state.scratch} cannot be made: {error.strerror}; choose another --state-dir"
        ) from error
    return state
