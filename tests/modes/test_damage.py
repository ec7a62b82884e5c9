"""Whatever is wrong with an envelope or with the keys: the right errno, never wrong bytes."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
import trio

from ossfs.errors import OssfsError
from ossfs.format import deprecated
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring_file import AesEntry, Entry, KmsEntry, RsaEntry
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private
from tests.modes.conftest import MakeWorld
from tests.modes.modes import MODES, Mode
from tests.modes.place import Place, b64
from tests.transfer.world import World, content_of

KEY = ObjectKey("p/damaged")
CONTENT = content_of(5000)
IV = b"\1" * 8 + bytes(4) + b"\2" * 4

SEALED = [mode for mode in MODES if mode.sealed]
DEPRECATED = [mode for mode in MODES if not mode.sealed]


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the headers of a form are called, without x-oss-meta-."""

    key: str
    start: str
    matdesc: str


CURRENT = Names(
    key="client-side-encryption-key",
    start="client-side-encryption-start",
    matdesc="client-side-encryption-matdesc",
)
OLD = Names(key="oss-crypto-key", start="oss-crypto-start", matdesc="oss-matdesc")


def names_of(mode: Mode) -> Names:
    return CURRENT if mode.sealed else OLD


async def refusal(world: World) -> int:
    """The errno with which the object is refused."""
    try:
        reader = await world.reader(KEY)
        found = await reader.read(0, len(CONTENT))
    except OssfsError as error:
        return error.errno
    pytest.fail(f"{len(found)} bytes were read")


async def put(place: Place, metadata: Mapping[str, str], body: bytes = CONTENT) -> None:
    headers = {f"x-oss-meta-{name}": value for name, value in metadata.items()}
    await trio.to_thread.run_sync(lambda: place.plain.put_object(KEY, body, headers=headers))


async def put_wrapped(
    place: Place, mode: Mode, master: MasterKey, *, key: bytes, start: bytes
) -> None:
    """An object of another client with these secrets, wrapped by the right key."""
    names = names_of(mode)
    packed = key if mode.sealed else deprecated.pack_key(mode.wrap_alg, key)
    form = "client-side-encryption-" if mode.sealed else "oss-"
    await put(
        place,
        {
            names.key: b64(await master.wrap(packed)),
            names.start: b64(await master.wrap(start)),
            f"{form}cek-alg": "AES/CTR/NoPadding" if mode.sealed else deprecated.CEK_ALG,
            f"{form}wrap-alg": mode.wrap_alg,
        },
    )


def master_of(world: World) -> MasterKey:
    assert world.keyring is not None
    assert world.keyring.writer is not None
    return world.keyring.writer


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_damage_to_the_envelope_of_a_file_of_ours_is_eio(
    world: MakeWorld, place: Place, mode: Mode
) -> None:
    entry, names = mode.entry(place), names_of(mode)
    await world(entry).upload(CONTENT, KEY)
    stored = await world().store.head(KEY)
    _, body = await world().store.get(KEY, start=0, length=len(CONTENT))
    good = stored.metadata
    wrapped = good[names.key]
    for damaged in (
        {names.key: wrapped[:-1]},
        {names.key: "*" + wrapped[1:]},
        {names.key: wrapped + "AAAA"},
        {names.key: wrapped[: len(wrapped) // 8 * 4]},
        {names.start: "not base64!"},
        {names.matdesc: "{"},
    ):
        await put(place, {**good, **damaged}, bytes(body))
        assert await refusal(world(entry)) == errno.EIO, damaged
    await put(place, good, bytes(body))
    assert await world(entry).content(KEY) == CONTENT


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_wrong_secrets_under_the_right_key_are_eio(
    world: MakeWorld, place: Place, mode: Mode
) -> None:
    entry = mode.entry(place)
    master = master_of(world(entry))
    good_start = IV if mode.sealed else b"8"
    for key in (bytes(16), bytes(24), bytes(40)):
        await put_wrapped(place, mode, master, key=key, start=good_start)
        assert await refusal(world(entry)) == errno.EIO
    await put_wrapped(place, mode, master, key=bytes(32), start=good_start)
    assert len(await world(entry).content(KEY)) == len(CONTENT)


@pytest.mark.parametrize("mode", SEALED, ids=str)
async def test_an_iv_that_no_sdk_writes_is_eio(world: MakeWorld, place: Place, mode: Mode) -> None:
    entry = mode.entry(place)
    master = master_of(world(entry))
    for middle in (b"\0\0\0\1", b"\1\0\0\0", b"\xff" * 4):
        await put_wrapped(place, mode, master, key=bytes(32), start=IV[:8] + middle + IV[12:])
        assert await refusal(world(entry)) == errno.EIO
        off = replace(world(entry), integrity=Integrity.OFF)
        assert await refusal(off) == errno.EIO
    for iv in (IV + bytes(8), IV + bytes(16)):
        await put_wrapped(place, mode, master, key=bytes(32), start=iv)
        assert await refusal(world(entry)) == errno.EIO


@pytest.mark.parametrize("mode", DEPRECATED, ids=str)
@pytest.mark.parametrize("start", [b"0", b"11", b"-1", b"01", b"8 ", b"1e1", b"100000000000"])
async def test_a_start_outside_1_to_10_is_eio(
    world: MakeWorld, place: Place, mode: Mode, start: bytes
) -> None:
    entry = mode.entry(place)
    await put_wrapped(place, mode, master_of(world(entry)), key=bytes(32), start=start)
    assert await refusal(world(entry)) == errno.EIO


def wrong(entry: Entry, place: Place) -> Entry:
    """Another key of the same kind; of the KMS, the same key with another context."""
    match entry:
        case RsaEntry():
            file = write_private(place.folder / "other.pem", private_pem(rsa_key(1)))
            return replace(entry, file=file)
        case AesEntry():
            file = write_private(place.folder / "other.key", bytes(32))
            return replace(entry, file=file)
        case KmsEntry():
            return replace(entry, context={})


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_a_wrong_key_is_eio_and_does_not_spoil_the_right_one(
    world: MakeWorld, place: Place, mode: Mode
) -> None:
    entry = mode.entry(place)
    if isinstance(entry, KmsEntry):
        # With the KMS only the context can be wrong: a blob names its key.
        entry = replace(entry, context={"team": "a"})
    other = wrong(entry, place)
    await world(entry).upload(CONTENT, KEY)
    assert await refusal(world(other)) == errno.EIO
    assert await world(other, entry).content(KEY) == CONTENT
    assert await world(entry, other).content(KEY) == CONTENT


@pytest.mark.parametrize("mode", SEALED, ids=str)
async def test_a_description_finds_the_key_and_a_wrong_one_is_enokey(
    world: MakeWorld, place: Place, mode: Mode
) -> None:
    entry = replace(mode.entry(place), matdesc={"key": "red"})
    blue = replace(entry, matdesc={"key": "blue"})
    await world(entry).upload(CONTENT, KEY)
    assert await refusal(world(blue)) == errno.ENOKEY
    assert await world(blue, entry).content(KEY) == CONTENT
    assert await world(mode.entry(place)).content(KEY) == CONTENT


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_a_key_of_another_kind_is_enokey(world: MakeWorld, place: Place, mode: Mode) -> None:
    await world(mode.entry(place)).upload(CONTENT, KEY)
    for other in MODES:
        entry = other.entry(place)
        if entry.kind != mode.entry(place).kind:
            assert await refusal(world(entry)) == errno.ENOKEY


async def test_a_public_key_reads_back_its_own_deprecated_files_and_no_others(
    world: MakeWorld, place: Place
) -> None:
    file = place.folder / "public.pem"
    file.write_bytes(public_pem(rsa_key()))
    entry = RsaEntry(name="k", file=file, padding="deprecated")
    writer = world(entry)
    await writer.upload(CONTENT, KEY)
    assert await writer.content(KEY) == CONTENT
    assert await refusal(world(entry)) == errno.ENOKEY


@pytest.mark.parametrize("mode", DEPRECATED, ids=str)
async def test_the_deprecated_form_is_refused_under_require(
    world: MakeWorld, place: Place, mode: Mode
) -> None:
    entry = mode.entry(place)
    await world(entry).upload(CONTENT, KEY)
    assert await refusal(replace(world(entry), integrity=Integrity.REQUIRE)) == errno.EIO
    assert await replace(world(entry), integrity=Integrity.OFF).content(KEY) == CONTENT
