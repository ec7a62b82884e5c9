"""The keyring finds the right key, remembers it, and gives nothing away when it does not."""

import pytest
import trio
import trio.testing

from ossfs.crypto.datakey import DataKey
from ossfs.errors import IntegrityError, KeyUnavailable, TimedOut
from ossfs.format.envelope import RSA_PKCS1, Envelope
from ossfs.keys.keyring import Keyring
from ossfs.keys.rsa import RsaMasterKey
from tests.keys.fakes import FakeKey, rsa_key

IV = b"\1" * 8 + bytes(4) + b"\2" * 4
RED, BLUE = {"key": "red"}, {"key": "blue"}


def accept_any(_key: DataKey) -> bool:
    return True


def accept_none(_key: DataKey) -> bool:
    return False


async def foreign(key: FakeKey | RsaMasterKey, raw: bytes = bytes(32), iv: bytes = IV) -> Envelope:
    """The envelope that an SDK with this master key would write."""
    return Envelope(
        wrapped_key=await key.wrap(raw),
        wrapped_start=await key.wrap(iv),
        wrap_alg=key.wrap_alg,
        matdesc=key.matdesc,
    )


async def test_each_new_envelope_has_a_fresh_key_and_its_derived_iv() -> None:
    master = FakeKey(matdesc=RED)
    ring = Keyring([master, FakeKey(name="other")])
    pairs = [await ring.new_envelope() for _ in range(10)]
    assert len({key.reveal() for key, _, _ in pairs}) == 10
    for key, iv, envelope in pairs:
        assert iv == key.iv()
        assert await master.unwrap(envelope.wrapped_key, "FAKE") == key.reveal()
        assert await master.unwrap(envelope.wrapped_start, "FAKE") == key.iv()
        assert envelope.matdesc == RED


async def test_what_one_keyring_wraps_another_opens() -> None:
    key, _, envelope = await Keyring([RsaMasterKey(rsa_key(), name="a")]).new_envelope()
    ring = Keyring([RsaMasterKey(rsa_key(1), name="b"), RsaMasterKey(rsa_key(), name="a")])
    found = await ring.open(envelope, accept=lambda found: found.reveal() == key.reveal())
    assert found.reveal() == key.reveal()


async def test_a_new_file_is_read_back_without_unwrapping() -> None:
    master = FakeKey()
    ring = Keyring([master])
    key, _, envelope = await ring.new_envelope()
    assert (await ring.open(envelope, accept=accept_any)).reveal() == key.reveal()
    assert master.unwraps == 0


async def test_a_public_key_reads_back_its_own_files_and_no_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    public = RsaMasterKey(rsa_key().public_key(), name="public")
    ring = Keyring([public], seconds=1)
    key, _, envelope = await ring.new_envelope()
    await trio.sleep(80_000)
    assert (await ring.open(envelope, accept=accept_any)).reveal() == key.reveal()
    with pytest.raises(IntegrityError):
        await ring.open(envelope, accept=accept_none)
    with pytest.raises(KeyUnavailable, match="public"):
        await ring.open(await foreign(public), accept=accept_any)
    with pytest.raises(KeyUnavailable, match="public"):
        await ring.open_foreign(envelope)


async def test_an_unwrapped_key_is_remembered_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    master = FakeKey()
    envelope = await foreign(master)
    ring = Keyring([master], seconds=300)
    for _ in range(5):
        await ring.open(envelope, accept=accept_any)
    assert master.unwraps == 1
    await trio.sleep(301)
    await ring.open(envelope, accept=accept_any)
    assert master.unwraps == 2


async def test_a_key_that_was_not_accepted_is_not_remembered() -> None:
    master = FakeKey()
    envelope = await foreign(master)
    ring = Keyring([master])
    for _ in range(2):
        with pytest.raises(IntegrityError):
            await ring.open(envelope, accept=accept_none)
    assert master.unwraps == 2


async def test_a_remembered_key_is_still_checked() -> None:
    master = FakeKey()
    envelope = await foreign(master)
    ring = Keyring([master])
    await ring.open(envelope, accept=accept_any)
    with pytest.raises(IntegrityError):
        await ring.open(envelope, accept=accept_none)


async def test_many_opens_at_once_unwrap_once(autojump_clock: trio.testing.MockClock) -> None:
    master = FakeKey(seconds=1)
    envelope = await foreign(master)
    ring = Keyring([master])
    found: list[bytes] = []

    async def open_one() -> None:
        found.append((await ring.open(envelope, accept=accept_any)).reveal())

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(open_one)
    assert found == [bytes(32)] * 20
    assert master.unwraps == 1


async def test_many_opens_at_once_share_a_failure(autojump_clock: trio.testing.MockClock) -> None:
    master = FakeKey(seconds=1, failure=TimedOut("the service does not answer"))
    envelope = await foreign(master)
    ring = Keyring([master])
    failures = 0

    async def open_one() -> None:
        nonlocal failures
        with pytest.raises(TimedOut):
            await ring.open(envelope, accept=accept_any)
        failures += 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(open_one)
    assert (failures, master.unwraps) == (5, 1)


async def test_a_cancelled_open_leaves_the_others_undisturbed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    master = FakeKey(seconds=1)
    envelope = await foreign(master)
    ring = Keyring([master])
    found: list[DataKey] = []

    async def hasty() -> None:
        with trio.move_on_after(0.5):
            await ring.open(envelope, accept=accept_any)

    async def patient() -> None:
        await trio.sleep(0.1)
        found.append(await ring.open(envelope, accept=accept_any))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hasty)
        nursery.start_soon(patient)
        nursery.start_soon(patient)
    assert len(found) == 2
    assert master.unwraps == 2


async def test_without_any_key_nothing_is_opened_or_made() -> None:
    ring = Keyring([])
    assert ring.writer is None
    with pytest.raises(KeyUnavailable):
        await ring.new_envelope()
    with pytest.raises(KeyUnavailable):
        await ring.open(await foreign(FakeKey()), accept=accept_any)


async def test_an_unknown_wrap_alg_is_a_public_fact() -> None:
    envelope = await foreign(FakeKey(wrap_alg="OTHER"))
    with pytest.raises(KeyUnavailable, match="OTHER"):
        await Keyring([FakeKey()]).open(envelope, accept=accept_any)
    assert Keyring([FakeKey()]).name_for(envelope) is None


async def test_a_contradicting_description_is_a_public_fact() -> None:
    envelope = await foreign(FakeKey(matdesc=RED))
    master = FakeKey(matdesc=BLUE)
    for opening in (
        Keyring([master]).open(envelope, accept=accept_any),
        Keyring([master]).open_foreign(envelope),
    ):
        with pytest.raises(KeyUnavailable):
            await opening
    assert master.unwraps == 0


@pytest.mark.parametrize(("of_key", "of_object"), [(RED, {}), ({}, RED), (RED, RED), ({}, {})])
async def test_a_description_that_is_absent_excludes_nothing(
    of_key: dict[str, str], of_object: dict[str, str]
) -> None:
    envelope = await foreign(FakeKey(matdesc=of_object))
    ring = Keyring([FakeKey(matdesc=of_key)])
    await ring.open(envelope, accept=accept_any)
    await ring.open_foreign(envelope)


async def test_the_key_with_the_object_s_description_goes_first() -> None:
    vague, exact = FakeKey(name="same"), FakeKey(name="same", matdesc=RED)
    envelope = await foreign(exact)
    ring = Keyring([vague, exact])
    await ring.open(envelope, accept=accept_any)
    assert (vague.unwraps, exact.unwraps) == (0, 1)


async def test_every_fitting_key_is_tried() -> None:
    masters = [FakeKey(name=name) for name in "abc"]
    envelope = await foreign(masters[2])
    ring = Keyring(masters)
    assert (await ring.open(envelope, accept=accept_any)).reveal() == bytes(32)
    assert [master.unwraps for master in masters] == [1, 1, 1]
    assert ring.name_for(envelope) == "c"
    assert Keyring(masters).name_for(envelope) == "a"


async def test_a_key_out_of_reach_is_reported_only_if_no_other_opens() -> None:
    dead = FakeKey(name="dead", failure=KeyUnavailable("the KMS refuses"))
    alive = FakeKey(name="alive")
    envelope = await foreign(alive)
    await Keyring([dead, alive]).open(envelope, accept=accept_any)
    with pytest.raises(KeyUnavailable, match="refuses"):
        await Keyring([dead, FakeKey(name="third")]).open(envelope, accept=accept_any)


async def test_all_failures_of_cryptography_look_the_same() -> None:
    master = FakeKey()
    ring = Keyring([master])
    zero_iv_gone = b"\1" * 16
    attempts = [
        (await foreign(FakeKey(name="another")), "padding"),
        (await foreign(master, raw=bytes(31)), "length"),
        (await foreign(master, raw=b""), "length"),
        (await foreign(master, iv=zero_iv_gone), "iv"),
        (await foreign(master, iv=IV[:15]), "iv"),
        (await foreign(master, raw=bytes(32), iv=DataKey(bytes(32)).iv()), "stripped"),
    ]
    texts = set()
    for envelope, _ in attempts:
        with pytest.raises(IntegrityError) as caught:
            await ring.open_foreign(envelope)
        texts.add(str(caught.value))
    with pytest.raises(IntegrityError) as caught:
        await ring.open(attempts[3][0], accept=accept_none)
    texts.add(str(caught.value))
    assert len(texts) == 1


async def test_an_sdk_object_opens_to_its_key_and_iv_and_is_remembered() -> None:
    master = FakeKey()
    ring = Keyring([master])
    for _ in range(3):
        key, iv = await ring.open_foreign(await foreign(master, raw=b"k" * 32))
        assert (key.reveal(), iv) == (b"k" * 32, IV)
    assert master.unwraps == 2


async def test_a_stripped_object_of_ours_is_refused_again_and_again() -> None:
    ring = Keyring([FakeKey()])
    _, _, envelope = await ring.new_envelope()
    for _ in range(2):
        with pytest.raises(IntegrityError):
            await ring.open_foreign(envelope)
    key, iv = await ring.open_foreign(envelope, refuse_own=False)
    assert iv == key.iv()


async def test_rsa_junk_of_a_wrong_key_is_refused() -> None:
    envelope = await foreign(RsaMasterKey(rsa_key(0), name="a"))
    assert envelope.wrap_alg == RSA_PKCS1
    ring = Keyring([RsaMasterKey(rsa_key(1), name="b")])
    for _ in range(10):
        with pytest.raises(IntegrityError):
            await ring.open_foreign(envelope)


async def test_nothing_secret_stands_in_a_repr() -> None:
    ring = Keyring([FakeKey()])
    key, _, _ = await ring.new_envelope()
    assert key.reveal().hex() not in repr(vars(ring))
    assert repr(key.reveal()) not in repr(vars(ring)) + repr(key)
