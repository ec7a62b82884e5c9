"""Descriptions of keys as the SDKs demand them: oss2 compares maps, the SDK for Go texts."""

from dataclasses import replace
from typing import Any

import oss2
import trio
from oss2.crypto import EncryptionMaterials

from ossfs.format.contents import envelope_of
from ossfs.keys.keyring_file import RsaEntry
from ossfs.types import ObjectKey
from tests.fuse.sdks import oss2_sdk
from tests.keys.fakes import private_pem, rsa_key, write_private
from tests.modes.conftest import MakeWorld
from tests.modes.place import Place
from tests.transfer.world import content_of

KEY = ObjectKey("p/described")
CONTENT = content_of(1000)
TEAM = {"year": "2025", "team": "<a&b>"}


def entry(place: Place, **changes: Any) -> RsaEntry:
    return replace(RsaEntry(name="k", file=place.folder / "key.pem", matdesc=TEAM), **changes)


async def read(place: Place, provider: Any) -> bytes:
    return await trio.to_thread.run_sync(
        oss2_sdk("", "", place.bucket, provider).get, KEY, None, None
    )


async def test_the_text_is_compact_sorted_and_escaped_as_the_sdk_for_go_has_it(
    world: MakeWorld, place: Place
) -> None:
    await world(entry(place)).upload(CONTENT, KEY)
    metadata = (await world().store.head(KEY)).metadata
    expected = r'{"team":"\u003ca\u0026b\u003e","year":"2025"}'
    assert metadata["client-side-encryption-matdesc"] == expected


async def test_oss2_reads_with_the_same_description_in_any_order(
    world: MakeWorld, place: Place
) -> None:
    await world(entry(place)).upload(CONTENT, KEY)
    for same in (TEAM, dict(reversed(TEAM.items()))):
        assert await read(place, oss2.RsaProvider(key_pair=place.pair, mat_desc=same)) == CONTENT


async def test_oss2_finds_the_key_among_its_materials(world: MakeWorld, place: Place) -> None:
    await world(entry(place)).upload(CONTENT, KEY)
    provider = oss2.RsaProvider(key_pair=place.pair)
    provider.add_encryption_materials(EncryptionMaterials(TEAM, key_pair=place.pair))
    assert await read(place, provider) == CONTENT


async def test_without_a_description_there_is_no_header_as_oss2_demands(
    world: MakeWorld, place: Place
) -> None:
    await world(entry(place, matdesc={})).upload(CONTENT, KEY)
    metadata = (await world().store.head(KEY)).metadata
    assert "client-side-encryption-matdesc" not in metadata
    assert await read(place, oss2.RsaProvider(key_pair=place.pair)) == CONTENT


async def test_the_keyring_finds_the_key_by_what_the_sdk_wrote(
    world: MakeWorld, place: Place
) -> None:
    other = write_private(place.folder / "second.pem", private_pem(rsa_key(1)))
    sdk = oss2_sdk("", "", place.bucket, oss2.RsaProvider(key_pair=place.pair, mat_desc=TEAM))
    await trio.to_thread.run_sync(sdk.put, KEY, CONTENT)
    second = entry(place, name="second", file=other, matdesc={"year": "2024"})
    one = world(second, entry(place, name="first"))
    assert await one.content(KEY) == CONTENT
    envelope = envelope_of((await one.store.head(KEY)).metadata)
    assert envelope is not None
    assert one.keyring is not None
    assert one.keyring.name_for(envelope) == "first"
