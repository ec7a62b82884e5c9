"""One file, directory or special file as this mount knows it: the mutable state behind an inode
number.

Rules of this file
- Content state belongs to the node, never to a handle: `staged` holds what was written and is not
  (or not only) in the bucket, `generation` counts its changes, `stored` says which of them OSS has.
- `info` is the last stored version that this mount knows under the node's key; None means that
  nothing is stored there yet (a new file before its first upload, a directory without a marker).
- `epoch` moves when another client replaced the content; a handle of an older epoch is stale.
- `content_lock` guards copy-up and the choice of a reader; `upload_lock` guards what is stored
  under the node's key. Whoever needs the tree gate takes it first (see `gate`).
"""

import math
import stat
from dataclasses import dataclass, field

import trio

from ossfs.errors import OssfsError
from ossfs.format.attributes import Attributes
from ossfs.staging.staged import StagedFile
from ossfs.store.base import ObjectInfo
from ossfs.transfer.protection import ServerChoice
from ossfs.transfer.reader import ObjectReader
from ossfs.types import ETag, Ino, ObjectKey
from ossfs.vfs.flights import Flights
from ossfs.vfs.known_names import Listing

NEVER = -math.inf


@dataclass(slots=True)
class Folder:
    """What only a directory has."""

    children: dict[str, "Node"] = field(default_factory=dict)
    absent: dict[str, float] = field(default_factory=dict)
    """Names known not to exist, with the clock time of that knowledge."""
    listing: Listing | None = None
    cold_lookups: int = 0
    """Lookups since the last listing that had to ask OSS; several of them make a listing worth it.
    """
    worth: int = 3
    """How many of them do."""
    flights: Flights = field(default_factory=Flights)
    reserved: dict[str, Ino] = field(default_factory=dict)
    """Inode numbers for names that are being asked for side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A name next to another client's version. of: key of the file that is stored there."""

    of: ObjectKey
    directory: "Node"
    name: str


@dataclass(slots=True, eq=False)
class Node:
    """See the rules above. Times in `attributes` are nanoseconds; `checked` is in clock seconds."""

    ino: Ino
    name: str
    attributes: Attributes
    parent: "Node | None" = None
    size: int = 0
    shown_size: int = 0
    """What whoever caches believes to be the size: as last shown, or behind its own writes."""
    info: ObjectInfo | None = None
    foreign_tags: dict[str, str] = field(default_factory=dict)
    checked: float = NEVER
    lookups: int = 0
    handles: int = 0
    writers: int = 0
    folder: Folder | None = None

    staged: StagedFile | None = None
    generation: int = 0
    stored: int = 0
    server_choice: ServerChoice | None = None
    """Server-side encryption that the user chose for content which is still to be stored."""
    attributes_pending: bool = False
    attributes_scheduled: bool = False
    uploading: trio.CancelScope | None = None
    failure: OssfsError | None = None
    attempts: list[Attributes] = field(default_factory=list)
    """Attributes of uploads whose answer was lost: they tell our own object from a foreign one."""
    rival: ObjectInfo | None = None
    """Another client's version that stands in the way of what is staged, which waits for the user.
    """
    beside: "Beside | None" = None
    """Where what is staged was to be stored next to another client's version, if it was tried."""
    displaced: int = 0
    """The last generation that went beside another client's version, which has the name now."""
    retrying: bool = False
    exclusive: bool = False
    """Created with O_EXCL and not stored yet."""

    epoch: int = 0
    kernel_pages: ETag | None = None
    """The version whose pages the kernel may still hold."""
    reader: ObjectReader | None = None
    foreseen: float = NEVER
    """When OSS was asked for the version of `reader` ahead of an open; see `foresight`."""
    leaving: bool = False
    """Its name is about to go: whoever takes it away holds the upload lock, or waits for it."""
    unlinked: bool = False
    orphan: ObjectKey | None = None
    """Where the object of an unlinked open file was put aside."""
    target: bytes | None = None
    """Target of a symbolic link, once read."""

    # Made when they are first asked for: most nodes of a huge directory are only looked at.
    _content_lock: trio.Lock | None = None
    _upload_lock: trio.Lock | None = None

    @property
    def content_lock(self) -> trio.Lock:
        if self._content_lock is None:
            self._content_lock = trio.Lock()
        return self._content_lock

    @property
    def upload_lock(self) -> trio.Lock:
        if self._upload_lock is None:
            self._upload_lock = trio.Lock()
        return self._upload_lock

    @property
    def kind(self) -> int:
        """The file type bits, stat.S_IFREG and its like."""
        return stat.S_IFMT(self.attributes.mode)

    @property
    def is_directory(self) -> bool:
        return self.folder is not None

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.attributes.mode)

    @property
    def dirty(self) -> bool:
        """Content that OSS has not acknowledged."""
        return self.generation > self.stored

    @property
    def busy(self) -> bool:
        """This mount knows better than OSS what the content is."""
        local = self.staged is not None or self.dirty or self.uploading is not None
        return local or self.leaving or self.unlinked

    @property
    def pinned(self) -> bool:
        """This mount knows better than OSS what the node is: never refreshed, never dropped."""
        return self.busy or self.attributes_pending

    @property
    def attached(self) -> bool:
        """Whether its directory knows it by its name; true for the root."""
        return self.parent is None or self.parent.entries().children.get(self.name) is self

    @property
    def current_size(self) -> int:
        """Bytes that stat shows."""
        return self.staged.size if self.staged is not None else self.size

    def stored_as(self, info: ObjectInfo) -> None:
        """What this node shows stands in the bucket as the version *info* from now on.

        Pages of the kernel that showed the version before go along, and readers begin anew.
        """
        before = None if self.info is None else self.info.etag
        if self.kernel_pages == before:
            self.kernel_pages = info.etag
        self.info, self.size = info, info.size
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def entries(self) -> Folder:
        """The directory part. The caller has made sure that this is a directory."""
        assert self.folder is not None
        return self.folder
