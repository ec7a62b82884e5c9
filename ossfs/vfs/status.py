"""Encryption status as extended attributes `user.ossfs.*`: read from what OSS reported."""

from collections.abc import Callable

from ossfs import __version__
from ossfs.errors import OssfsError
from ossfs.format.contents import Own, Plain, classify
from ossfs.format.envelope import Envelope
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.transfer.protection import ServerChoice
from ossfs.vfs.node import Node
from ossfs.vfs.policy import Policy
from ossfs.vfs.server_side import label
from ossfs.vfs.tree import Tree

STATUS_PREFIX = b"user.ossfs."


class Status:
    """bucket: its name; rule: its own server-side encryption, as far as is known; key_name: names
    the master key that an envelope points to; unsaved: how many files OSS does not hold yet;
    conflicts: how often another client's version stood in the way.
    """

    def __init__(
        self,
        *,
        tree: Tree,
        bucket: str,
        policy: Policy,
        rule: ServerEncryption | None,
        checks: bool,
        key_name: Callable[[Envelope], str],
        unsaved: Callable[[], int],
        conflicts: Callable[[], int],
    ) -> None:
        self._tree = tree
        self._bucket = bucket
        self._policy = policy
        self._rule = rule
        self._checks = checks
        self._key_name = key_name
        self._unsaved = unsaved
        self._conflicts = conflicts

    async def listed(self, node: Node) -> list[str]:
        """Names for listxattr. `sse` is never among them: a copy of it would change the copy."""
        return [name for name in await self._values(node) if name != "sse"]

    async def value(self, node: Node, name: str) -> str | None:
        """The value of `user.ossfs.<name>`, None if the node has no such attribute."""
        return (await self._values(node)).get(name)

    async def _values(self, node: Node) -> dict[str, str]:
        values: dict[str, str] = {}
        if node.is_directory:
            values["encryption"] = self._of_new(node)["encryption"]
            if node is self._tree.root:
                values["pending"] = str(self._unsaved())
                values["conflicts"] = str(self._conflicts())
                values["version"] = __version__
            values["object"] = f"oss://{self._bucket}/{self._tree.key(node)}"
            return values
        info = node.info
        if info is not None:
            values |= self._of_object(info)
            if node.server_choice is not None:
                values["sse"] = label(node.server_choice.encryption)
        else:
            values |= self._of_new(node)
        values["object"] = f"oss://{self._bucket}/{self._tree.key(node)}"
        values["upload"] = upload_state(node)
        return values

    def _of_new(self, node: Node) -> dict[str, str]:
        """What a file that is not stored yet will get, or one that is made in a directory."""
        new = self._policy.new_files(self._tree.key(node))
        protection = new.protection
        client = protection.source is not None
        choice = node.server_choice or ServerChoice(protection.server)
        values = _encrypted_by(client=client, server=choice.encryption or self._rule)
        if client and new.key_name:
            values |= {"master-key": new.key_name, "wrap-alg": new.wrap_alg}
        return values

    def _of_object(self, info: ObjectInfo) -> dict[str, str]:
        values = self._client_side(info)
        values |= _encrypted_by(client="cek-alg" in values, server=info.encryption)
        values["etag"] = info.etag
        if info.crc64 is not None:
            values["crc64"] = str(info.crc64)
        values["storage-class"] = info.storage_class
        if info.version_id is not None:
            values["version-id"] = info.version_id
        return values

    def _client_side(self, info: ObjectInfo) -> dict[str, str]:
        try:
            contents = classify(info.metadata, info.size)
        except OssfsError:
            # The envelope is damaged: say what the headers say, vouch for nothing.
            return {"integrity": "none"}
        if isinstance(contents, Plain):
            return {"integrity": "none"}
        envelope = contents.envelope
        tagged = "tagged" if isinstance(contents, Own) else "none"
        return {
            "cek-alg": envelope.cek_alg,
            "wrap-alg": envelope.wrap_alg,
            "master-key": self._key_name(envelope),
            "integrity": tagged if self._checks else "off",
        }


def _encrypted_by(*, client: bool, server: ServerEncryption | None) -> dict[str, str]:
    kinds = {(True, True): "client+server", (True, False): "client", (False, True): "server"}
    return {
        "encryption": kinds.get((client, server is not None), "none"),
        "sse": label(server),
    }


def upload_state(node: Node) -> str:
    """`clean`, `staged`, `uploading` or `failed: <reason>`."""
    if node.uploading is not None:
        return "uploading"
    if node.failure is not None and node.dirty:
        return f"failed: {node.failure}"
    if node.dirty or node.attributes_pending:
        return "staged"
    return "clean"
