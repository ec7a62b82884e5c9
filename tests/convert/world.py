"""Conversions over one store in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ossfs.keys.base import MasterKey
from ossfs.keys.keyring import Keyring
from ossfs.keys.rsa import RsaMasterKey
from ossfs.keys.symmetric import SymmetricMasterKey
from ossfs.store.base import ObjectInfo, PutOptions, ServerEncryption
from ossfs.transfer.convert.conversion import Conversion, Result, Tools
from ossfs.transfer.convert.converter import Converter
from ossfs.transfer.convert.goal import Goal, Target
from ossfs.transfer.convert.workspace import Workspace
from ossfs.transfer.uploader import Uploader
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey
from tests.keys.fakes import rsa_key
from tests.transfer.watched import as_store
from tests.transfer.world import FILE, KEY, World, content_of

AES256 = ServerEncryption(algorithm="AES256")
KMS = ServerEncryption(algorithm="KMS", key_id="k1")
INTERNAL = "p/.ossfs/"


def rsa(number: int = 0, **more: Any) -> RsaMasterKey:
    return RsaMasterKey(rsa_key(number), name=f"key{number}", **more)


def aes() -> SymmetricMasterKey:
    return SymmetricMasterKey(bytes(range(32)), name="aes")


@dataclass(kw_only=True)
class Conversions:
    """What converts in one world; masters: everything that is opened, whoever encrypts."""

    world: World
    masters: list[MasterKey] = field(default_factory=lambda: [rsa(0), rsa(1), aes()])
    rule: ServerEncryption | None = None
    integrity: Integrity = Integrity.PREFER

    def __post_init__(self) -> None:
        self.workspace = Workspace(as_store(self.world.store), prefix="p")

    def conversion(self, goal: Goal | Callable[[ObjectKey], Goal]) -> Conversion:
        tools = Tools(
            sender=self.world.sender,
            keyring=Keyring(self.masters),
            integrity=self.integrity,
            area=self.world.area,
            workspace=self.workspace,
            rule=self.rule,
            prefix="p",
        )
        return Conversion(tools, (lambda _key: goal) if isinstance(goal, Goal) else goal)

    def converter(self, goal: Goal, *, jobs: int = 2) -> Converter:
        store = as_store(self.world.store)
        return Converter(store, self.conversion(goal), self.workspace, jobs=jobs)

    async def convert(self, goal: Goal, key: ObjectKey = KEY, *, dry_run: bool = False) -> Result:
        return await self.conversion(goal).convert(key, dry_run=dry_run)

    async def store(
        self, content: bytes, key: ObjectKey = KEY, *, master: MasterKey | None, **more: Any
    ) -> ObjectInfo:
        """Store *content* as a mount with this key does."""
        keyring = None if master is None else Keyring([master])
        server = more.pop("encryption", None)
        uploader = Uploader(self.world.sender, keyring, prefix="p", encryption=server)
        attributes = more.pop("attributes", FILE)
        with self.world.frozen(content) as frozen:
            await uploader.upload(frozen, key, attributes=attributes, **more)
        info: ObjectInfo = await self.world.store.inner.head(key)
        return info

    async def put(self, content: bytes, key: ObjectKey = KEY, **options: Any) -> ObjectInfo:
        """Store *content* as a client without encryption does."""
        await self.world.store.inner.put(key, content, PutOptions(**options))
        info: ObjectInfo = await self.world.store.inner.head(key)
        return info

    async def info(self, key: ObjectKey = KEY) -> ObjectInfo:
        info: ObjectInfo = await self.world.store.inner.head(key)
        return info

    async def tags(self, key: ObjectKey = KEY) -> Mapping[str, str]:
        tags: Mapping[str, str] = await self.world.store.inner.get_tags(key)
        return tags

    async def content(self, key: ObjectKey = KEY, *masters: MasterKey) -> bytes:
        """What a mount with these keys (by default all) reads."""
        ring = Keyring(masters or self.masters)
        return await self.world.again(keyring=ring).content(key)

    def keys(self, *, internal: bool) -> list[str]:
        """Keys in the store; internal: under .ossfs/, sidecars left out."""
        return [
            key
            for key in self.world.store.inner._keys
            if key.startswith(INTERNAL) == internal and "/.ossfs/tags/" not in key
        ]


def to_key(master: MasterKey, **more: Any) -> Goal:
    return Goal(client=Target(master), **more)


__all__ = ["FILE", "KEY", "content_of"]
