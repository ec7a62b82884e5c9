"""A KMS that does not answer costs each file a bounded time, and nobody else any."""

from urllib.parse import quote_plus

import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from ossfs.crypto.datakey import DataKey
from ossfs.errors import KeyUnavailable
from ossfs.keys.keyring import Keyring
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.kms_circuit import SECONDS
from ossfs.keys.kms_client import KmsClient
from ossfs.keys.kms_signing import acs3
from ossfs.keys.pool import EnvelopePool
from tests.keys.fakes import FakeKey
from tests.keys.kms_mock import REGION_ENDPOINT, Always, MockKms, refusal

KEY = "alias/photos"
TIMEOUT = 60.0


class Silent:
    """A KMS that swallows all requests while *silent* is set, else the next *lost* ones and those
    that hold the text *never*.
    """

    def __init__(self) -> None:
        self.kms = MockKms()
        self.silent = True
        self.lost = 0
        self.never = "none"
        self.seconds = 0.0
        self.asked = 0
        self.under_way = 0
        self.client = KmsClient(
            REGION_ENDPOINT,
            credentials=Always(),
            transport=httpx.MockTransport(self._answer),
            sign=acs3,
            pause=max,
            retries=5,
            timeout=TIMEOUT,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.under_way += 1
        try:
            if self.silent or self.lost or quote_plus(self.never) in request.content.decode():
                self.lost = max(0, self.lost - 1)
                await trio.sleep_forever()
            await trio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        return self.kms(request)

    async def encrypt(self) -> float:
        """Seconds until it succeeded."""
        began = trio.current_time()
        await self.client.encrypt(KEY, "cGxhaW4=", {})
        return trio.current_time() - began

    async def fail(self) -> float:
        """Seconds until it failed."""
        began = trio.current_time()
        with pytest.raises(KeyUnavailable, match="cannot reach the KMS"):
            await self.client.encrypt(KEY, "cGxhaW4=", {})
        return trio.current_time() - began


@pytest.mark.parametrize("count", [1, 64])
async def test_all_that_wait_fail_within_the_time_of_one(
    count: int, autojump_clock: MockClock
) -> None:
    kms = Silent()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(kms.fail)
    assert trio.current_time() <= TIMEOUT + 1


@pytest.mark.parametrize("count", [1, 64])
async def test_a_new_file_fails_in_that_time_too_however_many_there_are(
    count: int, autojump_clock: MockClock
) -> None:
    pool = EnvelopePool(Keyring([KmsMasterKey(Silent().client, KEY)]).new_envelope)

    async def take() -> None:
        with pytest.raises(KeyUnavailable):
            await pool.new_envelope()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        async with trio.open_nursery() as files:
            for _ in range(count):
                files.start_soon(take)
        assert trio.current_time() <= TIMEOUT + 1
        nursery.cancel_scope.cancel()


async def test_one_who_comes_later_does_not_wait_for_what_is_known(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    waited: list[float] = []

    async def later() -> None:
        await trio.sleep(TIMEOUT - 10)
        waited.append(await kms.fail())

    async with trio.open_nursery() as nursery:
        for _ in range(64):
            nursery.start_soon(kms.fail)
        for _ in range(64):
            nursery.start_soon(later)
    assert max(waited) <= 30


async def test_for_some_seconds_nothing_is_asked_and_then_by_one_alone(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    await kms.fail()
    asked = kms.asked
    for _ in range(10):
        assert await kms.fail() == 0
    assert kms.asked == asked
    await trio.sleep(SECONDS)
    waited: list[float] = []

    async def note() -> None:
        waited.append(await kms.fail())

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(note)
    assert kms.asked == asked + 1
    assert sorted(waited)[:9] == [0] * 9
    assert await kms.fail() == 0


async def test_one_answer_opens_the_way_for_all(autojump_clock: MockClock) -> None:
    kms = Silent()
    await kms.fail()
    kms.silent = False
    assert await kms.fail() == 0
    await trio.sleep(SECONDS)
    kms.kms.answers = [refusal("Rejected.Disabled", 409)]
    with pytest.raises(KeyUnavailable, match="disabled"):
        await kms.encrypt()
    for _ in range(20):
        assert await kms.encrypt() == 0


async def test_a_probe_that_is_answered_is_repeated_like_any_other(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    await kms.fail()
    kms.silent = False
    await trio.sleep(SECONDS)
    kms.kms.answers = [refusal("ServiceUnavailable", 503), refusal("Throttling.User", 400)]
    await kms.encrypt()


async def test_a_probe_that_is_cancelled_leaves_the_next_one_to_find_out(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    await kms.fail()
    await trio.sleep(SECONDS)
    with trio.move_on_after(1):
        await kms.encrypt()
    kms.silent = False
    assert await kms.encrypt() == 0


async def test_who_is_cancelled_gives_his_turn_back(autojump_clock: MockClock) -> None:
    kms = Silent()
    async with trio.open_nursery() as nursery:
        for _ in range(64):
            nursery.start_soon(kms.encrypt)
        await wait_all_tasks_blocked()
        assert kms.under_way == 8
        nursery.cancel_scope.cancel()
    assert kms.under_way == 0
    kms.silent, kms.seconds = False, 1.0
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(kms.encrypt)
    assert trio.current_time() - began == 1


async def test_one_dead_connection_is_given_up_in_time_for_another(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    kms.silent, kms.lost = False, 1
    assert await kms.encrypt() < TIMEOUT


async def test_one_that_is_lost_closes_no_way_on_which_others_are_answered(
    autojump_clock: MockClock,
) -> None:
    kms = Silent()
    kms.silent, kms.never = False, "bmV2ZXI="

    async def lost() -> None:
        with pytest.raises(KeyUnavailable, match="cannot reach the KMS"):
            await kms.client.encrypt(KEY, kms.never, {})
        assert trio.current_time() >= TIMEOUT - 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lost)
        for _ in range(2 * int(TIMEOUT)):
            assert await kms.encrypt() == 0
            await trio.sleep(1)


async def test_a_pause_beyond_the_end_is_not_waited_for(autojump_clock: MockClock) -> None:
    kms = Silent()
    kms.silent = False
    kms.kms.answers = [refusal("Rejected.Throttling", 429, **{"retry-after": "900"})]
    with pytest.raises(KeyUnavailable, match="Throttling"):
        await kms.encrypt()
    assert trio.current_time() < 1


# --- beside other keys ------------------------------------------------------------------------


def accept_any(_key: DataKey) -> bool:
    return True


async def test_a_silent_kms_holds_up_no_object_of_another_key(autojump_clock: MockClock) -> None:
    dead, alive = Silent(), Silent()
    alive.silent = False
    theirs = Keyring([KmsMasterKey(alive.client, KEY)])
    ring = Keyring([KmsMasterKey(dead.client, KEY), KmsMasterKey(alive.client, KEY)])
    for number in range(20):
        _, _, envelope = await theirs.new_envelope()
        began = trio.current_time()
        await ring.open(envelope, accept=accept_any)
        assert trio.current_time() - began <= (0 if number else 2)
    assert dead.asked == 1
    assert dead.under_way == 0


async def test_a_slow_key_still_opens_what_no_other_does(autojump_clock: MockClock) -> None:
    slow = FakeKey(name="slow", seconds=30)
    ring = Keyring([slow, FakeKey(name="other"), FakeKey(name="third", seconds=10)])
    _, _, envelope = await Keyring([slow]).new_envelope()
    await ring.open(envelope, accept=accept_any)
    assert ring.name_for(envelope) == "slow"
    assert trio.current_time() <= 31


async def test_that_a_kms_is_silent_is_said_where_no_other_key_opens(
    autojump_clock: MockClock,
) -> None:
    ring = Keyring([FakeKey(name="a", wrap_alg="KMS/ALICLOUD"), KmsMasterKey(Silent().client, KEY)])
    other = FakeKey(wrap_alg="KMS/ALICLOUD", name="b")
    for key in (other, ring._keys[0]):
        assert isinstance(key, FakeKey)
        key.unwrap_algs = frozenset({"KMS/ALICLOUD"})
    _, _, envelope = await Keyring([other]).new_envelope()
    with pytest.raises(KeyUnavailable, match="cannot reach the KMS"):
        await ring.open(envelope, accept=accept_any)
