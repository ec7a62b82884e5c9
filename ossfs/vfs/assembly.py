"""Puts the parts of a file system together, in the order in which they depend on one another."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from ossfs.format.attributes import Attributes
from ossfs.format.envelope import Envelope
from ossfs.staging.area import StagingArea
from ossfs.store.base import ObjectStore, ServerEncryption
from ossfs.transfer.copier import Copier
from ossfs.transfer.opener import Opener
from ossfs.transfer.uploader import Uploader
from ossfs.vfs.attribute_saving import AttributeSaver
from ossfs.vfs.conflicts import Conflicts
from ossfs.vfs.content import Content
from ossfs.vfs.creation import Creation
from ossfs.vfs.filesystem import FileSystem
from ossfs.vfs.foresight import Foresight
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.handles import HandleTable
from ossfs.vfs.journal import Journal
from ossfs.vfs.kernel import Behaviour, KernelCache, Spawn
from ossfs.vfs.listing import Listings
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.metadata import Metadata
from ossfs.vfs.moving import Mover
from ossfs.vfs.new_versions import NewVersions
from ossfs.vfs.owner import Owner, ThisProcess
from ossfs.vfs.policy import Policy
from ossfs.vfs.recovery import Recovery
from ossfs.vfs.remote import Defaults, Remote
from ossfs.vfs.removal import Removal
from ossfs.vfs.renames import Renames
from ossfs.vfs.saving import Saver
from ossfs.vfs.server_side import ServerSideChanges
from ossfs.vfs.status import Status
from ossfs.vfs.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a file system stands on. key_name names the master key that an envelope points to."""

    store: ObjectStore
    uploader: Uploader
    policy: Policy
    opener: Opener
    copier: Copier
    staging: StagingArea
    key_name: Callable[[Envelope], str]
    spawn: Spawn
    owner: Owner = field(default_factory=ThisProcess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in which bucket the root is, and whose it is where nothing is stored.

    rule: the bucket's own server-side encryption, as far as is known.
    """

    bucket: str
    prefix: str
    defaults: Defaults
    rule: ServerEncryption | None = None


CLOCK_REALTIME_COARSE = 5
"""From linux/time.h; the time module has no name for it."""


def coarse_now() -> int:
    """Nanoseconds by the clock that the kernel itself stamps with.

    The kernel sends "now" from its coarse clock; a finer one here would let times run backwards.
    """
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def assemble(
    parts: Parts,
    place: Place,
    behaviour: Behaviour,
    *,
    checks: bool,
    kernel: KernelCache,
    clock: Callable[[], float] = trio.current_time,
    now: Callable[[], int] = coarse_now,
) -> FileSystem:
    """checks: whether tags are checked (`--integrity` is not off); clock: seconds; now:
    nanoseconds.
    """
    remote = Remote(parts.store, place.defaults)
    tree = Tree(place.prefix, root_attributes(place.defaults, now()))
    gate, handles = TreeGate(), HandleTable()
    lookups = Lookups(tree, remote, behaviour, kernel, clock, parts.spawn)
    attributes = AttributeSaver(
        tree=tree,
        gate=gate,
        store=parts.store,
        uploader=parts.uploader,
        policy=parts.policy,
        copier=parts.copier,
        behaviour=behaviour,
        clock=clock,
        spawn=parts.spawn,
    )
    conflicts = Conflicts(tree=tree, lookups=lookups, behaviour=behaviour, clock=clock, now=now)
    saver = Saver(
        tree=tree,
        gate=gate,
        new_versions=NewVersions(
            uploader=parts.uploader,
            policy=parts.policy,
            remote=remote,
            conflicts=conflicts,
            clock=clock,
        ),
        conflicts=conflicts,
        staging=parts.staging,
        attributes=attributes,
        clock=clock,
        spawn=parts.spawn,
    )
    creation = Creation(
        tree=tree,
        gate=gate,
        lookups=lookups,
        saver=saver,
        uploader=parts.uploader,
        policy=parts.policy,
        now=now,
        clock=clock,
    )
    removal = Removal(
        tree=tree,
        gate=gate,
        creation=creation,
        fresh=lookups.fresh,
        remote=remote,
        saver=saver,
        store=parts.store,
        copier=parts.copier,
        uploader=parts.uploader,
        policy=parts.policy,
        clock=clock,
    )
    journal = Journal(
        store=parts.store,
        encryption=parts.policy.default.protection.server,
        base=tree.key(tree.root),
        owner=parts.owner,
        clock=clock,
        spawn=parts.spawn,
    )
    recovery = Recovery(
        store=parts.store,
        journal=journal,
        owner=parts.owner,
        spawn=parts.spawn,
        parallel=behaviour.parallel,
    )
    mover = Mover(
        store=parts.store,
        copier=parts.copier,
        journal=journal,
        recovery=recovery,
        spawn=parts.spawn,
        parallel=behaviour.parallel,
    )
    renames = Renames(
        tree=tree,
        gate=gate,
        lookups=lookups,
        creation=creation,
        removal=removal,
        saver=saver,
        attributes=attributes,
        store=parts.store,
        copier=parts.copier,
        mover=mover,
        remote=remote,
        clock=clock,
    )
    content = Content(
        tree=tree,
        handles=handles,
        lookups=lookups,
        remote=remote,
        opener=parts.opener,
        saver=saver,
        behaviour=behaviour,
        now=now,
        foresight=Foresight(
            lookups=lookups,
            remote=remote,
            opener=parts.opener,
            behaviour=behaviour,
            clock=clock,
            spawn=parts.spawn,
        ),
        discard=removal.discard_if_closed,
    )
    status = Status(
        tree=tree,
        bucket=place.bucket,
        policy=parts.policy,
        rule=place.rule,
        checks=checks,
        key_name=parts.key_name,
        unsaved=lambda: len(saver.unsaved()),
        conflicts=lambda: conflicts.count,
    )
    metadata = Metadata(
        content=content,
        saver=saver,
        attributes=attributes,
        status=status,
        server_side=ServerSideChanges(
            tree=tree,
            gate=gate,
            lookups=lookups,
            remote=remote,
            copier=parts.copier,
            behaviour=behaviour,
            clock=clock,
        ),
        behaviour=behaviour,
        now=now,
    )
    return FileSystem(
        tree=tree,
        handles=handles,
        lookups=lookups,
        content=content,
        creation=creation,
        removal=removal,
        renames=renames,
        listings=Listings(handles, lookups, parts.spawn),
        metadata=metadata,
        saver=saver,
        recovery=recovery,
        behaviour=behaviour,
    )


def root_attributes(defaults: Defaults, now: int) -> Attributes:
    """Those of the root until its marker, if it has one, says otherwise."""
    return defaults.for_object(defaults.directory_mode, now)
