"""Other clients, failing requests and sudden ends in the middle of a conversion.

Whatever happens, an object is wholly old or wholly new, and readable; and what another client wrote
is never replaced by old content, but for the one moment that docs/semantics.md names.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from ossfs.errors import IntegrityError, Unavailable
from ossfs.store.base import PutOptions
from ossfs.store.memory import MemoryStore
from ossfs.transfer.convert.conversion import Outcome, Result
from ossfs.transfer.convert.goal import Goal
from tests.convert.world import AES256, KMS, Conversions, aes, rsa, to_key
from tests.transfer.world import KEY, PART, content_of

CONTENT = content_of(3 * PART + 7)
THEIRS = b"written by another client meanwhile"

CASES: dict[str, tuple[Callable[[], Any], Callable[[], Goal], int | None]] = {
    "key to key": (rsa, lambda: to_key(aes()), None),
    "plain to key": (lambda: None, lambda: to_key(aes()), None),
    "key to plain": (rsa, lambda: Goal(client=None), None),
    "server side of ciphertext": (rsa, lambda: Goal(server=KMS), None),
    "server side of plain content": (lambda: None, lambda: Goal(server=KMS), None),
    "both": (rsa, lambda: to_key(aes(), server=AES256), None),
    "too large for copies": (rsa, lambda: to_key(aes()), -1),
    "too large for copies, server side": (rsa, lambda: Goal(server=KMS), -1),
}


async def prepared(conversions: Conversions, case: str) -> Goal:
    master, goal, copy_limit = CASES[case]
    conversions.world.store.inner = MemoryStore(copy_limit=copy_limit)
    await conversions.store(CONTENT, master=master(), tags={"a": "b"})
    conversions.world.store.calls.clear()
    return goal()


def is_put_in_place(conversions: Conversions) -> bool:
    """Whether the call that begins now, or one before it, makes the new version visible."""
    return any(
        (name == "copy" and of["target"] == KEY)
        or (name in {"put", "restate", "complete_multipart"} and of["key"] == KEY)
        for name, of in conversions.world.store.calls
    )


@pytest.mark.parametrize("case", CASES)
async def test_what_another_client_writes_is_never_replaced_by_old_content(
    conversions: Conversions, case: str
) -> None:
    """At every request, but for the last one, which is that of the window."""
    store = conversions.world.store
    for step in range(1, 100):
        goal = await prepared(conversions, case)
        ended = True
        in_place = False

        def interfere(_name: str, step: int = step) -> None:
            nonlocal ended, in_place
            if len(store.calls) == step:
                ended = False
                in_place = is_put_in_place(conversions)
                store.inner._store(KEY, THEIRS, "THEIRS", PutOptions(), object_type="Normal")

        store.before = interfere
        result = await conversions.convert(goal)
        store.before = lambda _name: None
        if ended:
            break
        if not in_place:
            assert await conversions.content() == THEIRS, step
            assert result.outcome is not Outcome.FAILED, (step, result)
        assert conversions.keys(internal=True) == []
    assert step > 3


@pytest.mark.parametrize("case", CASES)
async def test_new_attributes_and_deletions_are_not_undone(
    conversions: Conversions, case: str
) -> None:
    store = conversions.world.store
    for change in (_retag, _delete):
        for step in range(1, 100):
            goal = await prepared(conversions, case)
            ended, seen = True, False

            def interfere(
                _name: str, step: int = step, change: Callable[[Conversions], None] = change
            ) -> None:
                nonlocal ended, seen
                if len(store.calls) == step:
                    ended = False
                    # The last look is one at the tags, then one at the rest.
                    last = store.names()[-1] == "head" and store.names().count("get_tags") > 1
                    seen = is_put_in_place(conversions) or last
                    change(conversions)

            store.before = interfere
            result = await conversions.convert(goal)
            store.before = lambda _name: None
            if ended:
                break
            if seen:
                continue
            if change is _retag:
                assert await conversions.tags() == {"a": "new"}, (step, result)
            else:
                assert KEY not in store.inner._versions, (step, result)
                assert result.outcome is Outcome.SKIPPED


def _retag(conversions: Conversions) -> None:
    inner = conversions.world.store.inner
    inner._versions[KEY] = replace(inner._versions[KEY], tags={"a": "new"})


def _delete(conversions: Conversions) -> None:
    conversions.world.store.inner._remove(KEY)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_a_failing_request_leaves_old_or_new_and_the_next_run_finishes(
    conversions: Conversions, case: str, answer_lost: bool
) -> None:
    store = conversions.world.store
    for step in range(1, 100):
        goal = await prepared(conversions, case)
        store.fail_at, store.answer_lost = step, answer_lost
        first = await conversions.convert(goal)
        happened = len(store.calls) >= step
        store.fail_at = 0
        assert await conversions.content() == CONTENT
        again = await conversions.convert(goal)
        assert again.outcome in {Outcome.AS_ASKED, Outcome.CONVERTED}, (step, first, again)
        assert await conversions.content() == CONTENT
        assert await conversions.tags() == {"a": "b"}
        if not happened:
            assert first.outcome is Outcome.CONVERTED
            break
    assert step > 3


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("answer_lost", [False, True])
async def test_a_copy_into_place_is_repeated_only_while_the_old_version_is_there(
    conversions: Conversions, autojump_clock: MockClock, written: bool, answer_lost: bool
) -> None:
    """However long OSS is busy in between."""
    goal = await prepared(conversions, "key to key")
    store = conversions.world.store
    busy = Unavailable("made to fail", status=503)
    theirs = [THEIRS] if written else []

    def copies() -> int:
        return sum(name == "copy" and of["target"] == KEY for name, of in store.calls)

    def before(name: str) -> None:
        if name == "copy" and copies() == 1 and not answer_lost:
            raise busy
        if name == "head" and copies() and theirs:
            store.inner._store(KEY, theirs.pop(), "THEIRS", PutOptions(), object_type="Normal")

    def after(name: str, answer: Any) -> Any:
        if name == "copy" and copies() == 1 and answer_lost:
            raise busy
        return answer

    store.before, store.tamper = before, after
    result = await conversions.convert(goal)
    assert result.outcome is Outcome.CONVERTED
    assert await conversions.content(KEY, aes()) == (THEIRS if written else CONTENT)
    assert conversions.keys(internal=True) == []


@pytest.mark.parametrize("case", CASES)
async def test_an_end_at_any_moment_leaves_old_or_new(conversions: Conversions, case: str) -> None:
    """The process is gone: nothing of it runs any more, not even to clean up."""
    store = conversions.world.store
    for step in range(1, 100):
        goal = await prepared(conversions, case)
        died = False

        def die(_name: str, step: int = step) -> None:
            nonlocal died
            if len(store.calls) >= step:
                died = True
                raise Unavailable("the process is gone", status=503)

        store.before = die
        await conversions.convert(goal)
        store.before = lambda _name: None
        assert await conversions.content() == CONTENT
        assert (await conversions.convert(goal)).outcome is not Outcome.FAILED
        assert await conversions.content() == CONTENT
        if not died:
            break
    assert step > 3


@pytest.mark.parametrize("case", CASES)
async def test_being_told_to_stop_leaves_old_or_new_and_nothing_beside_it(
    conversions: Conversions, case: str
) -> None:
    store = conversions.world.store
    for step in range(1, 100):
        goal = await prepared(conversions, case)
        stopped = False
        with trio.CancelScope() as scope:

            def stop(_name: str, step: int = step, scope: trio.CancelScope = scope) -> None:
                nonlocal stopped
                if len(store.calls) == step:
                    stopped = True
                    scope.cancel()

            store.before = stop
            await conversions.convert(goal)
        store.before = lambda _name: None
        assert await conversions.content() == CONTENT
        assert conversions.keys(internal=True) == []
        assert not store.inner._uploads
        if not stopped:
            break
    assert step > 3


@pytest.mark.parametrize("case", ["key to key", "plain to key", "key to plain", "both"])
async def test_a_new_version_that_does_not_read_back_is_not_put_in_place(
    conversions: Conversions, case: str
) -> None:
    goal = await prepared(conversions, case)
    old = await conversions.info()

    def damage(name: str, answer: Any) -> Any:
        if name == "get" and answer[0].key != KEY:
            return answer[0], bytes([answer[1][0] ^ 1]) + bytes(answer[1][1:])
        return answer

    conversions.world.store.tamper = damage
    result = await conversions.convert(goal)
    assert isinstance(result.error, IntegrityError)
    assert await conversions.info() == old
    assert conversions.keys(internal=True) == []


async def test_a_copy_on_the_server_that_is_another_object_is_not_put_in_place(
    conversions: Conversions,
) -> None:
    goal = await prepared(conversions, "server side of ciphertext")
    old = await conversions.info()

    def other(name: str, answer: Any) -> Any:
        if name == "head" and answer.key != KEY:
            return replace(answer, crc64=1)
        return answer

    conversions.world.store.tamper = other
    result: Result = await conversions.convert(goal)
    assert isinstance(result.error, IntegrityError)
    assert await conversions.info() == old


async def test_two_changes_in_a_row_are_reported(conversions: Conversions) -> None:
    goal = await prepared(conversions, "key to key")
    store = conversions.world.store

    def write(name: str) -> None:
        if name == "get":
            number = len(store.calls)
            version = store.inner._versions[KEY]
            info = replace(version.info, etag=f"E{number}", metadata={"n": str(number)})
            store.inner._versions[KEY] = replace(version, info=info)

    store.before = write
    result = await conversions.convert(goal)
    assert (result.outcome, type(result.error).__name__) == (Outcome.FAILED, "Stale")
    await store.inner.put(KEY, b"x", PutOptions())
