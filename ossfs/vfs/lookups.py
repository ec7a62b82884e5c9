"""From names to nodes: what is known is answered, the rest is asked of OSS and remembered.

Every answer of OSS may be older than a change of this mount that happened while it was under way.
So a `stamp` of what was known is taken before each request, and the answer is dropped if the stamp
no longer fits afterwards: the change of this mount wins.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ossfs.errors import InvalidArgument, NameTooLong, OssfsError, StaleHandle
from ossfs.format.attributes import Attributes
from ossfs.format.names import NAME_MAX, is_component
from ossfs.store.base import ObjectInfo
from ossfs.transfer.parallel import for_each
from ossfs.types import ObjectKey
from ossfs.vfs.kernel import Behaviour, KernelCache, Spawn
from ossfs.vfs.known_names import Listing
from ossfs.vfs.node import NEVER, Folder, Node
from ossfs.vfs.remote import Found, Remote, same_version
from ossfs.vfs.tree import Tree

log = logging.getLogger(__name__)

WORTH_A_LISTING = 3
"""Cold lookups in one directory after which a page of its names is fetched instead."""

WORTH_AT_MOST = 192
"""The same where the pages before answered next to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """What was known of a node when OSS was asked.

    It holds the objects themselves, so that none made later can pass for one of them.
    """

    key: ObjectKey
    info: ObjectInfo | None
    attributes: Attributes
    generation: int
    pinned: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """A name for which OSS is asked, and what was known of it by then."""

    directory: Node
    name: str
    node: Node | None
    stamp: Stamp | None
    absent: float | None
    key: ObjectKey


class Lookups:
    """clock: seconds, monotonic; spawn: for what is asked ahead."""

    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        behaviour: Behaviour,
        kernel: KernelCache,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._tree = tree
        self._remote = remote
        self._behaviour = behaviour
        self._kernel = kernel
        self._clock = clock
        self._spawn = spawn

    # --- one name ---------------------------------------------------------------------------

    def fresh(self, node: Node) -> bool:
        """Whether the node's attributes may be shown without asking."""
        return node.pinned or self._clock() - node.checked < self._behaviour.attr_ttl

    def validity(self, node: Node) -> float:
        """Seconds for which the kernel may believe the node's attributes."""
        if node.pinned:
            return self._behaviour.attr_ttl
        return max(0.0, node.checked + self._behaviour.attr_ttl - self._clock())

    def absence_valid(self, directory: Node, name: str) -> float:
        """Seconds for which the kernel may believe that *name* does not exist."""
        folder = directory.entries()
        since = folder.absent.get(name)
        if since is None:
            since = folder.listing.when if folder.listing is not None else NEVER
        return max(0.0, since + self._behaviour.negative_ttl - self._clock())

    async def named(self, directory: Node, name: bytes) -> Node | None:
        """lookup of a name from the kernel; one that no key can have does not exist.

        Raises NameTooLong.
        """
        if len(name) > NAME_MAX:
            raise NameTooLong("name above 255 bytes")
        try:
            text = name.decode()
        except UnicodeDecodeError:
            return None
        if not is_component(text):
            return None
        try:
            self._tree.check_key(directory, text, is_directory=False)
        except (NameTooLong, InvalidArgument):
            return None  # OSS would refuse the question
        return await self.child(directory, text)

    async def child(self, directory: Node, name: str) -> Node | None:
        """The node *name* in *directory*, or None where nothing of that name exists."""
        self._foresee(directory, name)
        return await self._joined(directory, name, None)

    async def _joined(self, directory: Node, name: str, hint: bool | None) -> Node | None:
        """The node *name*, or None, once nobody asks for it ahead any more.

        hint: whether a listing just showed a directory (True) or a file (False) of that name.
        """
        folder = directory.entries()
        while name in folder.flights and self._is_stale(folder, name):
            await folder.flights.arrival(name)
        return await self._resolve(directory, name, hint)

    async def _resolve(self, directory: Node, name: str, hint: bool | None) -> Node | None:
        folder = directory.entries()
        while True:
            self._check_directory(directory)
            node = folder.children.get(name)
            if node is not None and self.fresh(node):
                return node
            if hint is None:
                listing = self._deciding(folder, name)
                if self._known_absent(folder, name, listing):
                    return None
                hint = None if listing is None else listing.names.get(name)
            if hint is None and await self._learn_names(directory, name):
                continue
            question = self.question(directory, name)
            found = await self._find(question.key, hint)
            if self._stands(question):
                if self._is_open(question):
                    return self._place(directory, name, found)
                if node is not None:
                    return node
            hint = None

    def question(self, directory: Node, name: str) -> Question:
        """To be made before OSS is asked for *name* in *directory*."""
        folder = directory.entries()
        node = folder.children.get(name)
        return Question(
            directory=directory,
            name=name,
            node=node,
            stamp=None if node is None else self.stamp(node),
            absent=folder.absent.get(name),
            key=self._tree.child_key(directory, name),
        )

    def settle(self, question: Question, found: Found) -> Node | None:
        """Believe what OSS said, unless this mount knows better meanwhile: None then."""
        if not self._stands(question) or not self._is_open(question):
            return None
        node = self._place(question.directory, question.name, found)
        return node if node is not None and node.info is found.info else None

    def _stands(self, question: Question) -> bool:
        """Whether the name still means the same node, or none, under the same key."""
        directory, name = question.directory, question.name
        return (
            directory.entries().children.get(name) is question.node
            and directory.attached
            and self._tree.child_key(directory, name) == question.key
        )

    def _is_open(self, question: Question) -> bool:
        """Whether nothing was learned of the name since."""
        if question.node is None or question.stamp is None:
            return question.directory.entries().absent.get(question.name) == question.absent
        return self.fits(question.stamp, question.node)

    @staticmethod
    def _check_directory(directory: Node) -> None:
        """Raises StaleHandle for one that is no longer there: nothing is known in it any more."""
        if not directory.attached:
            raise StaleHandle("the directory was removed")

    async def _find(self, key: ObjectKey, hint: bool | None) -> Found | None:
        if hint is None:
            return await self._remote.probe(key)
        if hint:
            return await self._remote.marker(ObjectKey(f"{key}/"))
        return await self._remote.file(key)

    def _known_absent(self, folder: Folder, name: str, listing: Listing | None) -> bool:
        since = folder.absent.get(name)
        if since is not None and self._clock() - since < self._behaviour.negative_ttl:
            return True
        return listing is not None and name not in listing.names

    def _fresh_listing(self, folder: Folder) -> Listing | None:
        ttl = min(self._behaviour.attr_ttl, self._behaviour.negative_ttl)
        listing = folder.listing
        if listing is not None and self._clock() - listing.when < ttl:
            return listing
        return None

    def _deciding(self, folder: Folder, name: str) -> Listing | None:
        """The fresh listing that says whether *name* exists, if there is one."""
        listing = self._fresh_listing(folder)
        if listing is None or not listing.decides(name):
            return None
        listing.answered += 1
        return listing

    async def _learn_names(self, directory: Node, name: str) -> bool:
        """Learn a page of names at once where names of the directory are asked for one after the
        other; False if it is not worth it, or says nothing of *name*.
        """
        folder = directory.entries()
        folder.cold_lookups += 1
        known = self._fresh_listing(folder)
        useful = known is not None and known.answered >= WORTH_AT_MOST
        worth = 1 if useful else folder.worth
        if folder.cold_lookups < worth or self._behaviour.attr_ttl <= 0:
            return False
        if known is not None and not useful:
            folder.worth = min(2 * folder.worth, WORTH_AT_MOST)
        else:
            folder.worth = WORTH_A_LISTING
        # In a directory of many pages, that which begins here; the name itself is asked for.
        after = "" if known is None else name
        begun, prefix = self._clock(), self._tree.key(directory)
        page = await self._remote.names(prefix, None, after=after)
        if self._tree.key(directory) == prefix and directory.attached:
            upto = None if page.next_token is None else page.last
            listing = Listing(
                begun, page.names, page.sizes, after.encode(), upto, modified=page.modified
            )
            self._merge(directory, listing)
        return self._deciding(folder, name) is not None

    # --- ahead of who asks --------------------------------------------------------------------

    def _foresee(self, directory: Node, name: str) -> None:
        """Ask for the next names of someone who takes the names of a directory in their order."""
        folder = directory.entries()
        listing = self._fresh_listing(folder)
        if listing is None or not directory.attached or listing.reads.is_walk:
            return
        names = listing.names
        unknown = [
            ahead
            for ahead in listing.looked_up(name)
            if ahead in names and ahead not in folder.flights and self._is_stale(folder, ahead)
        ]

        async def ask(ahead: str) -> None:
            await self._resolve(directory, ahead, names.get(ahead))

        folder.flights.launch(self._spawn, unknown, ask, limit=self._behaviour.parallel)

    def _is_stale(self, folder: Folder, name: str) -> bool:
        node = folder.children.get(name)
        return node is None or not self.fresh(node)

    def stamp(self, node: Node) -> Stamp:
        """To be taken before OSS is asked for the node."""
        return Stamp(self._tree.key(node), node.info, node.attributes, node.generation, node.pinned)

    def fits(self, stamp: Stamp, node: Node) -> bool:
        """Whether this mount neither changed nor relearned the node since; if it did, it knows
        better than the answer that was under way.
        """
        return (
            node.info is stamp.info
            and node.attributes is stamp.attributes
            and node.generation == stamp.generation
            and node.pinned == stamp.pinned
            and self._tree.key(node) == stamp.key
        )

    def _place(self, directory: Node, name: str, found: Found | None) -> Node | None:
        folder, now = directory.entries(), self._clock()
        self._tree.trim(directory, now, self._behaviour.negative_ttl)
        node = folder.children.get(name)
        if found is None:
            if node is not None and not self.vanished(node):
                return node
            folder.absent[name] = now
            return None
        if node is not None and not self._stays(node, found):
            if not self.vanished(node):
                return node
            node = None
        if node is None:
            ino = folder.reserved.pop(name, None)
            node = self._tree.new(name, found.attributes, ino=ino)
            self._tree.attach(directory, name, node)
        self.learn(node, found)
        return node

    # --- what OSS says of one node ----------------------------------------------------------

    def learn(self, node: Node, found: Found) -> None:
        """Believe *found*; content of another version makes open handles stale."""
        before = node.info
        keep = node.attributes_pending or _says_nothing_new(node, found)
        if not keep and found.attributes != node.attributes:
            node.attributes = found.attributes
            self._kernel.invalidate_attributes(node.ino)
        node.info = found.info
        node.foreign_tags = found.foreign_tags
        node.checked = self._clock()
        if found.is_directory or found.info is None:
            return
        node.size = found.info.size
        if before is not None and not same_version(before, found.info):
            self.replaced(node)

    def replaced(self, node: Node) -> None:
        """Another client stored a version: handles are stale, cached content is dropped."""
        node.epoch += 1
        node.kernel_pages = node.target = None
        if node.reader is not None:
            node.reader.close()
            node.reader = None
        self._kernel.invalidate_attributes(node.ino)

    def vanished(self, node: Node) -> bool:
        """Another client removed the name: the node leaves its directory, and all below it leaves
        too; handles are stale.

        False: a directory that holds something this mount has not stored yet stays.
        """
        below = [child for _, child in self._tree.descendants(node)]
        if any(child.pinned for child in below):
            node.info, node.checked = None, self._clock()
            return False
        for gone in (*reversed(below), node):
            gone.checked = NEVER
            if gone.handles or gone.lookups:
                self.replaced(gone)
            self._tree.detach(gone, self._clock())
            self._tree.release(gone)
        return True

    async def refresh(self, node: Node) -> None:
        """Make the node's attributes fresh, unless this mount changes it meanwhile.

        Raises StaleHandle if it is gone.
        """
        if self.fresh(node):
            return
        stamp = self.stamp(node)
        if not stamp.key:
            node.checked = self._clock()  # the root of a bucket has no object to ask for
            return
        self.check_attached(node)
        ask = self._remote.marker if node.is_directory else self._remote.file
        found = await ask(stamp.key)
        if self.fits(stamp, node):
            self.accept(node, found)

    def accept(self, node: Node, found: Found | None) -> None:
        """Believe what OSS said of the node's key. Raises StaleHandle if that is another file or
        none.
        """
        if found is not None and self._stays(node, found):
            self.learn(node, found)
        elif self.vanished(node):
            if found is not None and node.parent is not None and node.parent.attached:
                self._place(node.parent, node.name, found)
            raise StaleHandle("another client removed the file")

    def _stays(self, node: Node, found: Found) -> bool:
        """Whether *found* can be shown under the number of *node*.

        Not as another kind of file. And a kernel that gathers writes would go on with the size and
        times of a file that it knows, so it is to take what another client stored for another file.
        """
        if node.kind != _kind(found):
            return False
        known = node.lookups or node.handles
        if not self._behaviour.kernel_writeback or not node.is_regular or not known:
            return True
        if node.info is None or found.info is None or not same_version(node.info, found.info):
            return False
        # An open one keeps its number: its content is the same.
        return bool(node.handles) or found.attributes.mtime_ns == node.attributes.mtime_ns

    def renumber(self, node: Node) -> None:
        """Have a kernel that goes on with its own size of the file take it for another one."""
        self._kernel.invalidate_attributes(node.ino)
        self._tree.renumber(node)

    @staticmethod
    def check_attached(node: Node) -> None:
        """Raises StaleHandle for a node that left its directory because OSS no longer had it."""
        if not node.attached and not node.unlinked:
            raise StaleHandle("another client removed the file")

    # --- whole directories --------------------------------------------------------------------

    async def names(self, directory: Node) -> Sequence[tuple[str, bool]]:
        """All names of the directory with whether each is a directory, in no promised order."""
        folder = directory.entries()
        listing = self._fresh_listing(folder)
        while listing is None or not listing.is_complete:
            self._check_directory(directory)
            begun, prefix = self._clock(), self._tree.key(directory)
            found: dict[str, bool] = {}
            sizes: dict[str, int] = {}
            modified: dict[str, int] = {}
            token: str | None = None
            while True:
                page = await self._remote.names(prefix, token)
                for name, is_directory in page.names.items():
                    found[name] = found.get(name, False) or is_directory
                sizes |= page.sizes
                modified |= page.modified
                token = page.next_token
                if token is None:
                    break
            if self._tree.key(directory) == prefix:
                listing = Listing(begun, found, sizes, modified=modified)
                self._merge(directory, listing)
        return list(listing.names.items())

    def _merge(self, directory: Node, listing: Listing) -> None:
        """Apply to *listing* what this mount changed or learned since it was begun, and keep it."""
        folder, found = directory.entries(), listing.names
        for name, since in folder.absent.items():
            if since >= listing.when:
                found.pop(name, None)
        for name, node in list(folder.children.items()):
            if node.pinned or node.checked >= listing.when:
                found[name] = node.is_directory
            elif name not in found and listing.decides(name) and not self.vanished(node):
                found[name] = True
        for name in found:
            folder.absent.pop(name, None)
        folder.listing = listing
        folder.cold_lookups = 0
        self._tree.trim(directory, self._clock(), self._behaviour.negative_ttl)

    async def learn_all(self, directory: Node, listed: Sequence[tuple[str, bool]]) -> None:
        """Have fresh nodes for all of *listed*, which a listing just showed, as far as they still
        exist.

        What cannot be asked for stays unknown; whoever needs that entry gets its error. Nothing is
        asked where listings show names alone.
        """
        if self._behaviour.list_names_only:
            return
        folder = directory.entries()

        async def ask(item: tuple[str, bool]) -> None:
            try:
                await self._joined(directory, item[0], item[1])
            except OssfsError as error:
                log.debug("attributes of a listed entry: %s", error)

        missing = [item for item in listed if self._is_stale(folder, item[0])]
        if not missing:
            return
        # Programs that sort by inode number, as cp does, then keep to the order of the names.
        reserved = {name: self._tree.reserve() for name, _ in missing}
        folder.reserved |= reserved
        try:
            await for_each(missing, ask, limit=min(self._behaviour.parallel, len(missing)))
        finally:
            for name in reserved:
                folder.reserved.pop(name, None)

    def listed(self, directory: Node, name: str, *, is_directory: bool) -> Node | None:
        """The node of a name that was listed; None if the name went since.

        One of which nothing else is known is what the listing tells of it, for no time at all:
        whoever looks it up asks OSS. An entry without a node would have no inode number, and many
        programs take such ones for deleted.
        """
        folder = directory.entries()
        node, listing = folder.children.get(name), folder.listing
        if node is not None or name in folder.absent or not directory.attached:
            return node
        if listing is None:
            listing = Listing(NEVER, {})
        elif listing.decides(name) and name not in listing.names:
            return None
        is_directory = listing.names.get(name, is_directory)
        attributes = self._remote.presumed(is_directory, listing.modified.get(name, 0))
        node = self._tree.new(name, attributes)
        node.size = listing.sizes.get(name, 0)
        self._tree.attach(directory, name, node)
        return node


def _kind(found: Found) -> int:
    return found.attributes.mode & 0o170000


def _says_nothing_new(node: Node, found: Found) -> bool:
    """Whether the stored attributes are those that the node's local ones began with.

    Times that only this mount knows, as those of a directory whose entries changed, then stay.
    """
    if node.checked == NEVER:
        return False
    before, now = node.info, found.info
    if before is None or now is None:
        return found.is_directory and before is now
    if before.tagging_count or now.tagging_count or before.metadata != now.metadata:
        return False
    return before.modified_ns == now.modified_ns if found.is_directory else before.etag == now.etag
