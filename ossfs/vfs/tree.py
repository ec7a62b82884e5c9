"""The inode table and the directory tree of known nodes. Pure: no store, no event loop.

A node is reachable by its inode number while the kernel looks it up or this mount pins it, and by
name while its directory remembers it. No node has two names, so a key follows from the parents.
"""

import stat
from collections.abc import Iterator

from ossfs.errors import StaleHandle
from ossfs.format.attributes import Attributes
from ossfs.format.names import object_key
from ossfs.types import Ino, ObjectKey
from ossfs.vfs.node import Folder, Node

ROOT_INO = Ino(1)


class Tree:
    """prefix: of the mount, without slashes at its ends; limit: known nodes, beyond which those
    that nobody holds are dropped.
    """

    def __init__(self, prefix: str, root_attributes: Attributes, *, limit: int = 200_000) -> None:
        self._prefix = prefix
        self._base = f"{prefix}/" if prefix else ""
        self._limit = limit
        self._next = ROOT_INO
        self._next_sweep = 0
        self._nodes: dict[Ino, Node] = {}
        self.root = self.new("", root_attributes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def new(self, name: str, attributes: Attributes, *, ino: Ino | None = None) -> Node:
        """A node that stands in no directory yet.

        ino: a number of `reserve`, else one that was never used before.
        """
        node = Node(ino=self.reserve() if ino is None else ino, name=name, attributes=attributes)
        if stat.S_ISDIR(attributes.mode):
            node.folder = Folder()
        self._nodes[node.ino] = node
        if len(self._nodes) > self._limit and node.ino >= self._next_sweep:
            self._sweep()
        return node

    def renumber(self, node: Node) -> None:
        """Give the node a number of its own anew, under which nobody has looked it up yet."""
        del self._nodes[node.ino]
        node.ino, node.lookups = self.reserve(), 0
        self._nodes[node.ino] = node

    def reserve(self) -> Ino:
        """A number for one node that is still to be made."""
        self._next = Ino(self._next + 1)
        return Ino(self._next - 1)

    def _sweep(self) -> None:
        """Drop nodes that nobody holds, those made first before others, an eighth of the limit.

        What is held may exceed the limit, so the next sweep comes after as many new nodes.
        """
        share = max(1, self._limit // 8)
        self._next_sweep = self._next + share
        for node in list(self._nodes.values()):
            if len(self._nodes) <= self._limit - share:
                return
            self.release(node)

    def get(self, ino: Ino) -> Node:
        """Raises StaleHandle for a number that is not (or no longer) known."""
        try:
            return self._nodes[ino]
        except KeyError:
            raise StaleHandle("inode is no longer known") from None

    def path(self, node: Node) -> tuple[str, ...]:
        """The names from the root down to the node."""
        names = []
        step: Node | None = node
        while step is not None and step is not self.root:
            names.append(step.name)
            step = step.parent
        return tuple(reversed(names))

    def key(self, node: Node) -> ObjectKey:
        """The key of a file; for a directory the key of its marker, which everything in it begins
        with.

        The root of a whole bucket has the empty key.
        """
        if node.orphan is not None:
            return node.orphan
        path = "/".join(self.path(node))
        slash = "/" if node.is_directory and path else ""
        return ObjectKey(f"{self._base}{path}{slash}")

    def child_key(self, directory: Node, name: str) -> ObjectKey:
        """The key of a file *name* in *directory*, known to be a valid one."""
        return ObjectKey(f"{self.key(directory)}{name}")

    def directory_key(self, directory: Node, name: str) -> ObjectKey:
        """The key of the marker of a directory *name* in *directory*, known to be a valid one."""
        return ObjectKey(f"{self.key(directory)}{name}/")

    def check_key(self, directory: Node, name: str, *, is_directory: bool) -> None:
        """Raises NameTooLong or InvalidArgument if OSS takes no such key."""
        object_key(self._prefix, (*self.path(directory), name), directory=is_directory)

    def attach(self, directory: Node, name: str, node: Node) -> None:
        """Put *node* under *name*; whatever stood there must have been detached.

        A lookup may have found the node gone, and dropped it, while it was on its way here.
        """
        folder = directory.entries()
        assert name not in folder.children
        self._nodes[node.ino] = node
        node.parent, node.name = directory, name
        folder.children[name] = node
        folder.absent.pop(name, None)
        if folder.listing is not None:
            folder.listing.names[name] = node.is_directory

    def detach(self, node: Node, when: float) -> None:
        """Take *node* out of its directory, whose name is known to be free from *when* on."""
        directory = node.parent
        if directory is None or not node.attached:
            return
        folder = directory.entries()
        del folder.children[node.name]
        folder.absent[node.name] = when
        if folder.listing is not None:
            folder.listing.names.pop(node.name, None)

    def forget(self, ino: Ino, lookups: int) -> None:
        """The kernel gives up *lookups* references."""
        node = self._nodes.get(ino)
        if node is None:
            return
        node.lookups = max(0, node.lookups - lookups)
        self.release(node)

    def release(self, node: Node) -> None:
        """Drop the node if nothing holds it any more.

        One that its directory remembers stays as cache.
        """
        if node is self.root or self._held(node):
            return
        directory = node.parent
        named = directory is not None and directory.entries().children.get(node.name) is node
        if not named:
            self._nodes.pop(node.ino, None)
        elif len(self._nodes) > self._limit:
            self._drop(node)

    def descendants(self, top: Node) -> Iterator[tuple[str, Node]]:
        """All known nodes below *top*, with their path relative to it."""
        stack = [("", top)]
        while stack:
            path, node = stack.pop()
            if node.folder is None:
                continue
            for name, child in list(node.folder.children.items()):
                yield path + name, child
                stack.append((f"{path}{name}/", child))

    @staticmethod
    def _held(node: Node) -> bool:
        if node.lookups or node.handles or node.retrying:
            return True
        if node.unlinked:
            return False
        return node.pinned or bool(node.folder is not None and node.folder.children)

    def _drop(self, node: Node) -> None:
        directory = node.parent
        assert directory is not None
        del directory.entries().children[node.name]
        self._nodes.pop(node.ino, None)
        if node.reader is not None:
            node.reader.close()

    def trim(self, node: Node, now: float, ttl: float) -> None:
        """Forget what a directory believes to be absent and is older than *ttl* seconds."""
        folder = node.entries()
        if len(folder.absent) > 1000:
            folder.absent = {n: t for n, t in folder.absent.items() if now - t < ttl}
        listing = folder.listing
        if listing is not None and now - listing.when >= ttl and not listing.reads.is_walk:
            folder.listing = None
            folder.cold_lookups = 0
