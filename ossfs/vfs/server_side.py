"""Changing how OSS encrypts a file that is stored already, or is about to be.

The content stays the same, so open handles read on and the kernel keeps its pages.
"""

from collections.abc import Callable

from ossfs.config.server_side import parse_sse
from ossfs.errors import InvalidArgument, NotFound, Stale, StaleHandle
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.transfer.copier import Copier
from ossfs.transfer.protection import ServerChoice, asked_of_server
from ossfs.vfs.gate import TreeGate
from ossfs.vfs.kernel import Behaviour
from ossfs.vfs.lookups import Lookups
from ossfs.vfs.node import NEVER, Node
from ossfs.vfs.remote import Remote
from ossfs.vfs.tree import Tree


class ServerSideChanges:
    """clock: seconds, monotonic."""

    def __init__(
        self,
        *,
        tree: Tree,
        gate: TreeGate,
        lookups: Lookups,
        remote: Remote,
        copier: Copier,
        behaviour: Behaviour,
        clock: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._gate = gate
        self._lookups = lookups
        self._remote = remote
        self._copier = copier
        self._behaviour = behaviour
        self._clock = clock

    async def change(self, node: Node, text: str) -> None:
        """Have the file encrypted as *text* says, once OSS acknowledges it.

        What is not stored yet is stored so by its next upload. Raises InvalidArgument, StaleHandle
        (the file is gone), FileTooLarge (would have to be uploaded again, and that is not allowed),
        and what OSS or a master key refuses.
        """
        async with self._gate.shared(node), node.upload_lock:
            if node.unlinked:
                raise StaleHandle("the file was removed")
            if node.dirty or node.info is None:
                node.server_choice = _chosen(text, node.info)
                return
            try:
                await self._change_stored(node, text)
            except (NotFound, Stale) as error:
                node.checked = NEVER
                raise StaleHandle("another client replaced or removed the file") from error
            except BaseException:
                node.checked = NEVER  # only OSS knows whether it was done
                raise

    async def _change_stored(self, node: Node, text: str) -> None:
        self._lookups.accept(node, await self._remote.file(self._tree.key(node)))
        info = node.info
        assert info is not None
        if text == label(info.encryption):
            return
        choice, attributes = _chosen(text, info), node.attributes
        stored = await self._copier.restate(info, choice, attributes=attributes)
        if stored is None:
            stored = await self._copier.reupload(
                info,
                attributes=attributes,
                tags=node.foreign_tags,
                limit=self._behaviour.reupload_max,
                choice=choice,
            )
            node.attributes_pending = node.attributes is not attributes
        self._adopt(node, stored)

    def _adopt(self, node: Node, info: ObjectInfo) -> None:
        node.stored_as(info)
        node.checked = self._clock()


def label(encryption: ServerEncryption | None) -> str:
    """As `user.ossfs.sse` shows it."""
    return "none" if encryption is None else encryption.label


def _chosen(text: str, info: ObjectInfo | None) -> ServerChoice:
    """What *text* says; what a version has can be said of it whatever it is.

    Raises InvalidArgument.
    """
    if info is not None and text == label(info.encryption):
        return ServerChoice(info.encryption)
    try:
        asked = parse_sse(text)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    return ServerChoice(asked_of_server(asked))
