"""The client of the KMS repeats what may pass, waits when told to, and says what is missing."""

import logging
import ssl

import httpx
import pytest
import trio
from trio.testing import MockClock

from ossfs.errors import BucketError, KeyUnavailable
from ossfs.keys.base import WrongKey
from ossfs.keys.kms_signing import acs3, rpc_v1
from ossfs.store.credentials import Credentials
from tests.keys.kms_mock import Always, MockKms, refusal

KEY = "alias/photos"


async def test_parameters_and_token_arrive_with_either_signature() -> None:
    for sign in (acs3, rpc_v1):
        kms = MockKms()
        client = kms.client(credentials=Always("token"), sign=sign)
        await client.encrypt(KEY, "cGxhaW4=", {"b": "2", "a": "1"})
        ((action, sent),) = kms.calls
        assert action == "Encrypt"
        assert (sent["KeyId"], sent["Plaintext"]) == (KEY, "cGxhaW4=")
        assert sent["EncryptionContext"] == '{"b":"2","a":"1"}'


async def test_an_empty_context_is_left_out() -> None:
    kms = MockKms()
    await kms.client().encrypt(KEY, "cGxhaW4=", {})
    assert "EncryptionContext" not in kms.calls[0][1]


@pytest.mark.parametrize(
    "passing",
    [
        refusal("InternalFailure", 500),
        refusal("ServiceUnavailableTemporary", 503),
        refusal("Rejected.Throttling", 429),
        refusal("Throttling.User", 400),
        refusal("SignatureNonceUsed", 400),
        httpx.Response(200, content=b"cut"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
    ],
)
async def test_what_may_pass_is_repeated(
    passing: httpx.Response | Exception, autojump_clock: MockClock
) -> None:
    kms = MockKms([passing, passing])
    await kms.client().encrypt(KEY, "cGxhaW4=", {})
    assert len(kms.calls) == 3
    assert trio.current_time() >= 1 + 2


async def test_each_attempt_has_a_nonce_of_its_own(autojump_clock: MockClock) -> None:
    kms = MockKms([refusal("InternalFailure", 500)])
    await kms.client(sign=rpc_v1).encrypt(KEY, "cGxhaW4=", {})
    assert len({sent["SignatureNonce"] for _, sent in kms.calls}) == 2


async def test_one_throttled_request_holds_back_the_others(autojump_clock: MockClock) -> None:
    kms = MockKms([refusal("Rejected.Throttling", 429, **{"retry-after": "30"})])
    client = kms.client()

    async def later() -> None:
        await trio.sleep(1)
        await client.encrypt(KEY, "cGxhaW4=", {})
        assert trio.current_time() >= 30

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.encrypt, KEY, "cGxhaW4=", {})
        nursery.start_soon(later)
    assert len(kms.calls) == 3


async def test_no_more_than_eight_requests_are_under_way(autojump_clock: MockClock) -> None:
    kms = MockKms()
    under_way, most = 0, 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(1)
        under_way -= 1
        return kms(request)

    client = kms.client()
    client._transport = httpx.MockTransport(slow)
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(client.encrypt, KEY, "cGxhaW4=", {})
    assert most == 8
    assert trio.current_time() >= 5


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("Forbidden.NoPermission", 403, "kms:Encrypt"),
        ("Forbidden.KeyNotFound", 404, "no such key"),
        ("Forbidden.AliasNotFound", 404, "no such alias"),
        ("Rejected.Disabled", 409, "disabled"),
        ("Rejected.PendingDeletion", 409, "about to be deleted"),
        ("Rejected.PendingImport", 409, "no key material"),
        ("Forbidden.InDebtOverdue", 403, "overdue"),
        ("InvalidSecurityToken.Expired", 400, "token"),
        ("InvalidAccessKeyId.NotFound", 404, "access key"),
        ("IncompleteSignature", 400, "access key"),
        ("InvalidParameter", 400, "InvalidParameter"),
    ],
)
async def test_a_refusal_is_one_line_with_action_key_and_what_is_missing(
    code: str, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    kms = MockKms([refusal(code, status)])
    with pytest.raises(KeyUnavailable) as refused:
        await kms.client().encrypt(KEY, "cGxhaW4=", {})
    assert len(kms.calls) == 1
    for part in ("Encrypt", KEY, code, str(status), "R-1", said):
        assert part in str(refused.value)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, str(refused.value))
    assert "SECRET" not in caplog.text + str(refused.value)


async def test_a_lasting_failure_is_logged_once_until_it_has_passed(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    kms = MockKms()
    client = kms.client(retries=0)

    async def fail(answer: httpx.Response | Exception) -> None:
        kms.answers.append(answer)
        with pytest.raises(KeyUnavailable):
            await client.encrypt(KEY, "cGxhaW4=", {})
        # Until the KMS counts no longer as out of reach.
        await trio.sleep(60)

    for _ in range(5):
        await fail(httpx.ConnectError("refused"))
    await fail(refusal("Rejected.Disabled", 409))
    await client.encrypt(KEY, "cGxhaW4=", {})
    await fail(refusal("Rejected.Disabled", 409))
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert "kms.cn-hangzhou" in caplog.records[0].getMessage()


async def test_what_one_key_is_refused_is_logged_once_while_others_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kms = MockKms()
    client = kms.client(retries=0)
    for refused in ("alias/a", "alias/b") * 3:
        kms.answers.append(refusal("Rejected.Disabled", 409))
        with pytest.raises(KeyUnavailable):
            await client.encrypt(refused, "cGxhaW4=", {})
        await client.encrypt(KEY, "cGxhaW4=", {})
    first, second = caplog.messages
    assert "alias/a" in first
    assert "alias/b" in second


async def test_a_kms_out_of_reach_is_logged_once_for_all_of_its_keys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kms = MockKms([httpx.ConnectError("refused")])
    client = kms.client(retries=0)
    for key in ("alias/a", "alias/b", KEY):
        with pytest.raises(KeyUnavailable):
            await client.encrypt(key, "cGxhaW4=", {})
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("code", ["InvalidParameter", "InvalidCiphertext.Blob"])
async def test_a_blob_that_makes_no_sense_looks_like_any_failure_of_cryptography(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    kms = MockKms([refusal(code, 400)] * 2)
    with pytest.raises(WrongKey):
        await kms.client().decrypt("blob", {}, key_id=KEY)
    with pytest.raises(WrongKey):
        await kms.client().re_encrypt("blob", KEY, source_context={}, context={})
    assert not caplog.records


async def test_a_clock_that_is_wrong_is_corrected_once() -> None:
    right = {"date": "Fri, 02 Jan 2026 03:04:05 GMT"}
    kms = MockKms([refusal("IllegalTimestamp", 400, **right)])
    client = kms.client(sign=rpc_v1, clock=lambda: 0.0)
    await client.encrypt(KEY, "cGxhaW4=", {})
    assert [sent["Timestamp"] for _, sent in kms.calls] == [
        "1970-01-01T00:00:00Z",
        "2026-01-02T03:04:05Z",
    ]
    kms.answers += [refusal("IllegalTimestamp", 400, **right)] * 2
    with pytest.raises(KeyUnavailable, match="clock"):
        await client.encrypt(KEY, "cGxhaW4=", {})


async def test_a_certificate_that_is_not_accepted_is_not_tried_again() -> None:
    error = httpx.ConnectError("the certificate of kms is not accepted")
    error.__cause__ = ssl.SSLCertVerificationError(1, "self-signed")
    kms = MockKms([error])
    with pytest.raises(KeyUnavailable, match="certificate"):
        await kms.client().encrypt(KEY, "cGxhaW4=", {})
    assert len(kms.calls) == 1


async def test_without_an_access_key_nothing_is_asked() -> None:
    class Gone:
        async def get(self) -> Credentials:
            raise BucketError("no access key")

    kms = MockKms()
    with pytest.raises(KeyUnavailable, match="no access key"):
        await kms.client(credentials=Gone()).encrypt(KEY, "cGxhaW4=", {})
    assert not kms.calls


@pytest.mark.parametrize("answer", [{}, {"CiphertextBlob": ""}, {"CiphertextBlob": 7}])
async def test_an_answer_without_sense_is_no_key(answer: dict[str, object]) -> None:
    with pytest.raises(KeyUnavailable, match="CiphertextBlob"):
        await MockKms([httpx.Response(200, json=answer)]).client().encrypt(KEY, "cGxhaW4=", {})
