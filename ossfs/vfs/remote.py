"""What OSS says of names: is there a file, a directory, nothing; what are its attributes.

Asks and interprets, and keeps no state. A file is an object `<path>`; a directory is an object
`<path>/` (its marker) or any key below `<path>/` that does not lie in `<path>/.ossfs/`. Where both
exist the directory wins.
"""

import logging
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from ossfs import log as names_in_log
from ossfs.errors import AccessDenied, NotFound
from ossfs.format import attributes as attribute_format
from ossfs.format.attributes import Attributes
from ossfs.format.contents import same_content
from ossfs.format.names import KEY_MAX, RESERVED, is_component
from ossfs.store.base import ListEntry, ObjectInfo, ObjectStore
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Attributes of objects that carry none, and of markers that do not exist."""

    uid: int
    gid: int
    file_mode: int = stat.S_IFREG | 0o644
    directory_mode: int = stat.S_IFDIR | 0o755

    def for_object(self, mode: int, modified_ns: int) -> Attributes:
        """Owner and mode of the mount, all times those of Last-Modified."""
        return Attributes(
            mode=mode,
            uid=self.uid,
            gid=self.gid,
            atime_ns=modified_ns,
            mtime_ns=modified_ns,
            ctime_ns=modified_ns,
            xattrs={},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A name that exists. info is None for a directory without a marker."""

    is_directory: bool
    attributes: Attributes
    info: ObjectInfo | None
    foreign_tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """One page of a directory: name to whether it is a directory; the token of the next page.

    sizes: of the files, in bytes; modified: when they were stored, in ns. last: the last key or
    common prefix of the page, hidden ones too, relative to the directory.
    """

    names: dict[str, bool]
    sizes: dict[str, int]
    modified: dict[str, int]
    hidden: int
    next_token: str | None
    last: bytes


class Remote:
    """Reads names and attributes from one bucket."""

    def __init__(self, store: ObjectStore, defaults: Defaults) -> None:
        self._store = store
        self._defaults = defaults

    async def probe(self, key: ObjectKey) -> Found | None:
        """What stands at the path of file key *key*: two requests side by side, a third for a
        marker.
        """
        file: Found | None = None
        listed: Found | None = None

        async def ask_file() -> None:
            nonlocal file
            file = await self.file(key)

        async def ask_directory() -> None:
            nonlocal listed
            listed = await self.directory(key)

        await for_each((ask_file, ask_directory), lambda ask: ask(), limit=2)
        return self._choose(key, file, listed)

    def _choose(self, key: ObjectKey, file: Found | None, directory: Found | None) -> Found | None:
        if file is not None and directory is not None:
            log.warning(
                "%s is a file and a directory; it is shown as a directory", names_in_log.name(key)
            )
        return directory or file

    async def file(self, key: ObjectKey) -> Found | None:
        """The object *key* itself, if it exists."""
        try:
            info = await self._store.head(key)
        except NotFound:
            return None
        return await self.of_info(info)

    async def of_info(self, info: ObjectInfo) -> Found:
        """Attributes of a file whose headers are known; its tags are asked for if it has any."""
        defaults = self._defaults.for_object(self._defaults.file_mode, info.modified_ns)
        attributes = attribute_format.from_metadata(info.metadata, defaults, size=info.size)
        tags: dict[str, str] = {}
        if info.tagging_count:
            try:
                tags = await self._store.get_tags(info.key)
            except AccessDenied as error:
                log.warning("no permission to read object tags (oss:GetObjectTagging): %s", error)
            except NotFound:
                pass  # replaced or deleted meanwhile; whoever uses the object will notice
        attributes = attribute_format.from_tags(tags, info.crc64, attributes)
        return Found(
            is_directory=False,
            attributes=attributes,
            info=info,
            foreign_tags=attribute_format.foreign_tags(tags),
        )

    async def directory(self, key: ObjectKey) -> Found | None:
        """The directory at the path of file key *key*, if it exists."""
        prefix = f"{key}/"
        if len(prefix.encode()) > KEY_MAX:
            return None  # nothing can be in it, and OSS takes no such prefix
        page = await self._store.list_page(prefix, delimiter="/", max_keys=2)
        has_marker = any(entry.key == prefix for entry in page.entries)
        reserved = f"{prefix}{RESERVED}/"
        exists = bool(page.entries) or any(p != reserved for p in page.prefixes)
        if not exists:
            return None
        return await self.marker(ObjectKey(prefix)) if has_marker else self._implicit()

    async def marker(self, key: ObjectKey) -> Found:
        """The directory whose marker is *key*; one without a marker has default attributes."""
        try:
            info = await self._store.head(key)
        except NotFound:
            return self._implicit()
        defaults = self._defaults.for_object(self._defaults.directory_mode, info.modified_ns)
        attributes = attribute_format.of_directory(info.metadata, defaults)
        return Found(is_directory=True, attributes=attributes, info=info)

    def _implicit(self) -> Found:
        return Found(is_directory=True, attributes=self.presumed(True, 0), info=None)

    def presumed(self, is_directory: bool, modified_ns: int) -> Attributes:
        """Attributes of what only its name is known of."""
        defaults = self._defaults
        mode = defaults.directory_mode if is_directory else defaults.file_mode
        return defaults.for_object(mode, modified_ns)

    async def names(self, prefix: str, token: str | None, *, after: str = "") -> Names:
        """One page of the names directly below *prefix* ("" or ending in a slash).

        after: a name; only what comes behind it in the order of keys.
        """
        start_after = f"{prefix}{after}" if after else ""
        page = await self._store.list_page(
            prefix, delimiter="/", token=token, start_after=start_after
        )
        names: dict[str, bool] = {}
        hidden = 0
        for text, is_directory in _listed(page.entries, page.prefixes, prefix):
            if not is_component(text):
                hidden += text != RESERVED
            elif names.get(text, is_directory) != is_directory:
                names[text] = True
            else:
                names[text] = is_directory
        ends = [*(entry.key for entry in page.entries[-1:]), *page.prefixes[-1:]]
        last = max((end.removeprefix(prefix).encode() for end in ends), default=b"")
        skip = len(prefix)
        files = {n: e for e in page.entries if names.get(n := e.key[skip:]) is False}
        return Names(
            names=names,
            sizes={name: entry.size for name, entry in files.items()},
            modified={name: entry.modified_ns for name, entry in files.items()},
            hidden=hidden,
            next_token=page.next_token,
            last=last,
        )


def same_version(before: ObjectInfo, now: ObjectInfo) -> bool:
    """Whether the content of the one is that of the other, under whatever key."""
    same_bytes = before.etag == now.etag and before.size == now.size
    return same_bytes and same_content(before.metadata, now.metadata)


def same_stored(before: ObjectInfo, now: ObjectInfo) -> bool:
    """The same for a version that may have been stored once more, in other parts or with other
    headers: another ETag alone does not make it another client's content.
    """
    same_crc = before.crc64 is not None and before.crc64 == now.crc64
    same_bytes = before.size == now.size and (same_crc or before.etag == now.etag)
    return same_bytes and same_content(before.metadata, now.metadata)


def _listed(
    entries: Sequence[ListEntry], prefixes: Sequence[str], prefix: str
) -> list[tuple[str, bool]]:
    skip = len(prefix)
    files = [(entry.key[skip:], False) for entry in entries if entry.key != prefix]
    return files + [(name[skip:-1], True) for name in prefixes]
