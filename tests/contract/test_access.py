"""The client when clock, credentials or address are wrong; time is that of the mock clock.

Each test names `patient_clock` itself, since pytest-trio looks for a clock nowhere else.
"""

import time

import pytest
import trio
from trio.testing import MockClock

from ossfs.devserver import Server
from ossfs.errors import (
    BadCredentials,
    BucketError,
    NoSuchBucket,
    NotFound,
    Unavailable,
)
from ossfs.store.base import PutOptions
from ossfs.store.credentials import Credentials
from ossfs.store.oss import OssStore
from tests.contract.conftest import Opener
from tests.contract.material import key, some_bytes

PLAIN = PutOptions()
BODY = some_bytes(200_000)


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_wrong_clock_is_corrected_once(
    loop_server: Server, opened: Opener, hours: int, patient_clock: MockClock
) -> None:
    store = opened(clock=lambda: time.time() + hours * 3600)
    await store.put(key("a"), BODY, PLAIN)
    await store.head(key("a"))
    assert loop_server.requests.count("PutObject") == 2
    assert loop_server.requests.count("HeadObject") == 1


async def test_a_clock_is_corrected_after_a_head_too(
    loop_server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store = opened(clock=lambda: time.time() + 3600)
    with pytest.raises(NotFound):
        await store.head(key("a"))
    assert loop_server.requests.count("HeadObject") == 2


async def test_a_temporary_key_needs_its_token(
    loop_server: Server, opened: Opener, patient_clock: MockClock
) -> None:
    store = opened(access_key=("temporary", "temporary-secret", "the/token+="))
    await store.put(key("a"), BODY, PLAIN)
    without = opened(access_key=("temporary", "temporary-secret", ""))
    with pytest.raises(BadCredentials):
        await without.head(key("a"))


@pytest.mark.parametrize(
    ("access_key", "code"),
    [
        (("nobody", "secret", ""), "InvalidAccessKeyId"),
        (("lasting", "wrong", ""), "SignatureDoesNotMatch"),
        (("expired", "expired-secret", "t"), "SecurityTokenExpired"),
    ],
)
async def test_credentials_that_do_not_work_are_told_apart(
    loop_server: Server,
    opened: Opener,
    access_key: tuple[str, str, str],
    code: str,
    patient_clock: MockClock,
) -> None:
    store = opened(access_key=access_key)
    for ask in (store.bucket_info, lambda: store.head(key("a")), lambda: store.list_page("")):
        with pytest.raises(BadCredentials) as refused:
            await ask()
        assert refused.value.code == code
        assert access_key[1] not in str(refused.value)


async def test_a_missing_bucket_is_told_apart(opened: Opener, patient_clock: MockClock) -> None:
    store = opened(bucket="absent")
    with pytest.raises(NoSuchBucket):
        await store.bucket_info()
    with pytest.raises(NoSuchBucket):
        await store.head(key("a"))


async def test_an_unreachable_server_is_told_apart(
    opened: Opener, patient_clock: MockClock
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    store = opened(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match=f"cannot reach 127.0.0.1:{port}: Connection refused"):
        await store.bucket_info()


async def test_missing_credentials_are_bad_credentials(
    loop_server: Server, patient_clock: MockClock
) -> None:
    class Nothing:
        async def get(self) -> Credentials:
            raise BucketError("no access key here")

    store = OssStore(
        "bucket", region="cn-hangzhou", endpoint=loop_server.endpoint, credentials=Nothing()
    )
    with pytest.raises(BadCredentials, match="no access key here"):
        await store.head(key("a"))
