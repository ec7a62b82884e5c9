"""Keys in a KMS wrap and unwrap as the SDKs do, and say why when they cannot."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio
from oss2.crypto import AliKMSProvider
from trio.testing import MockClock

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.devserver import RunningServer
from ossfs.errors import IntegrityError, KeyProblem, KeyUnavailable
from ossfs.format import envelope as envelopes
from ossfs.format.envelope import KMS, Envelope
from ossfs.keys.keyring import Keyring
from ossfs.keys.kms import KmsMasterKey, blob_of
from ossfs.keys.kms_client import KmsClient
from ossfs.keys.kms_identity import RESOLVED_SECONDS
from tests.devserver.kms_clients import direct
from tests.keys.fakes import FakeKey
from tests.keys.kms_mock import VERSION, MockKms
from tests.keys.kms_world import ALIAS, close_connections, kms_server, master, ring

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aliyunsdkcore.*"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning:aliyunsdkcore.*"),
]

PLAIN = bytes(i * 7 + 3 & 255 for i in range(1000))
IV = b"\1" * 8 + bytes(4) + b"\2" * 4
CONTEXT = {"x-passphrase": "1234"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with kms_server(tmp_path_factory.mktemp("kms")) as running:
        yield running


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    await close_connections()


outside = trio.to_thread.run_sync
"""Who commands the server must not stand in an event loop."""


def provider(server: RunningServer, **fields: Any) -> Any:
    """The AliKMSProvider of oss2, sent to *server*."""
    made = AliKMSProvider("full", "secret", "cn-hangzhou", ALIAS, **fields)
    direct(made.kms_client, server.kms_endpoint.removeprefix("http://"))
    return made


def client_of(key: KmsMasterKey) -> KmsClient:
    return key._client


def accept_any(_key: DataKey) -> bool:
    return True


def headers_of(envelope: Envelope) -> dict[str, str]:
    return envelopes.to_metadata(envelope, plain_size=0)


async def read_single(
    server: RunningServer, metadata: dict[str, str], context: dict[str, str]
) -> tuple[bytes, bytes]:
    """What the Go and Java SDKs make of the headers: each is a blob just as the KMS wrote it."""
    client = client_of(master(server))
    found = []
    for name in ("key", "start"):
        blob = metadata[f"client-side-encryption-{name}"]
        opened = await client.decrypt(blob, context, key_id=ALIAS)
        found.append(base64.b64decode(opened.plaintext))
    return found[0], found[1]


# --- the two codings --------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, "1234"])
@pytest.mark.parametrize("signature", ["acs3", "rpc-v1"])
async def test_oss2_and_the_double_coding_open_each_other_s_envelopes(
    server: RunningServer, passphrase: str | None, signature: str
) -> None:
    theirs = provider(server, passphrase=passphrase)
    context = {} if passphrase is None else CONTEXT
    ours = ring(server, coding="double", context=context, signature=signature)
    key, iv, envelope = await ours.new_envelope()
    assert envelope.wrap_alg == theirs.wrap_alg
    assert theirs.decrypt_encrypted_key(envelope.wrapped_key) == key.reveal()
    assert theirs.decrypt_encrypted_iv(envelope.wrapped_start) == iv

    material = theirs.create_content_material()
    made = Envelope(
        wrapped_key=material.encrypted_key.encode(),
        wrapped_start=material.encrypted_iv.encode(),
        wrap_alg=material.wrap_alg,
    )
    stored = material.cipher.encrypt(PLAIN)
    for coding in ("double", "single"):
        opened, start = await ring(server, coding=coding, context=context).open_foreign(made)
        assert BodyCipher(opened, start).apply(0, stored) == PLAIN


@pytest.mark.parametrize("context", [{}, CONTEXT])
async def test_an_independent_reader_opens_the_single_coding(
    server: RunningServer, context: dict[str, str]
) -> None:
    ours = ring(server, coding="single", context=context)
    key, iv, envelope = await ours.new_envelope()
    assert await read_single(server, headers_of(envelope), context) == (key.reveal(), iv)
    for coding in ("double", "single"):
        reader = ring(server, coding=coding, context=context)
        opened = await reader.open(envelope, accept=lambda found: found.reveal() == key.reveal())
        assert opened.reveal() == key.reveal()


async def test_the_single_coding_of_other_sdks_is_read(server: RunningServer) -> None:
    client = client_of(master(server))
    wrapped = [
        base64.b64decode((await client.encrypt(ALIAS, base64.b64encode(secret).decode(), {})).blob)
        for secret in (bytes(range(32)), IV)
    ]
    made = Envelope(wrapped_key=wrapped[0], wrapped_start=wrapped[1], wrap_alg=KMS)
    opened, iv = await ring(server, coding="double", context=CONTEXT).open_foreign(made)
    assert (opened.reveal(), iv) == (bytes(range(32)), IV)


async def test_the_deprecated_form_carries_text(server: RunningServer) -> None:
    ours = ring(server, coding="deprecated")
    key, iv, envelope = await ours.new_envelope()
    theirs = provider(server)
    blob = base64.b64encode(envelope.wrapped_key).decode()
    assert theirs.decrypt_encrypted_key(blob) == key.reveal()
    start = theirs.decrypt_encrypted_iv(base64.b64encode(envelope.wrapped_start).decode(), True)
    assert int(start) == int.from_bytes(iv)
    assert envelope.wrap_alg == "kms"
    opened, found = await ring(server).open_foreign(envelope)
    assert (opened.reveal(), found) == (key.reveal(), iv)


async def test_the_codings_are_told_apart_for_every_length() -> None:
    for length in range(200):
        raw = VERSION.encode() + bytes(range(length))
        blob = base64.b64encode(raw).decode()
        assert blob_of(raw) == blob
        assert blob_of(blob.encode()) == blob


# --- the actions ------------------------------------------------------------------------------


async def test_a_key_of_the_kms_and_a_rewrapped_one_open(server: RunningServer) -> None:
    client, other = client_of(master(server)), await outside(server.create_key, "alias/other")
    made = await client.generate_data_key(ALIAS, CONTEXT)
    assert len(base64.b64decode(made.plaintext)) == 32
    assert made.plaintext not in repr(made)
    moved = await client.re_encrypt(made.blob, other, source_context=CONTEXT, context={})
    opened = await client.decrypt(moved, {}, key_id=other)
    assert (opened.plaintext, opened.key_id) == (made.plaintext, other)
    assert made.plaintext not in repr(opened)
    described = await client.describe(other)
    assert (described.key_id, described.state) == (other, "Enabled")


async def test_id_arn_and_alias_name_a_key(server: RunningServer) -> None:
    key_id = await outside(server.create_key, "alias/named")
    client = client_of(master(server))
    answer = await client._act("DescribeKey", key_id, {"KeyId": key_id})
    for name in (key_id, answer["KeyMetadata"]["Arn"], "alias/named"):
        key = master(server, name)
        assert await key.unwrap(await key.wrap(b"secret"), KMS) == b"secret"


async def test_a_token_is_accepted(server: RunningServer) -> None:
    for signature in ("acs3", "rpc-v1"):
        key = master(server, access_key_id="sts", signature=signature)
        assert await key.unwrap(await key.wrap(b"secret"), KMS) == b"secret"


# --- what goes wrong --------------------------------------------------------------------------


async def envelope_with(server: RunningServer, key_id: str = ALIAS, **options: Any) -> Envelope:
    _, _, envelope = await ring(server, key_id, **options).new_envelope()
    return envelope


async def test_a_disabled_key_opens_nothing_but_what_is_remembered(server: RunningServer) -> None:
    key_id = await outside(server.create_key)
    ours = ring(server, key_id)
    _, _, known = await ours.new_envelope()
    unknown = await envelope_with(server, key_id)
    await outside(server.set_key_enabled, key_id, False)
    await ours.open(known, accept=accept_any)
    with pytest.raises(KeyUnavailable, match="disabled"):
        await ours.open(unknown, accept=accept_any)
    with pytest.raises(KeyUnavailable, match="disabled"):
        await ours.new_envelope()
    await outside(server.set_key_enabled, key_id, True)
    await ours.open(unknown, accept=accept_any)


async def test_a_deleted_key_opens_nothing(server: RunningServer) -> None:
    key_id = await outside(server.create_key)
    envelope = await envelope_with(server, key_id)
    await outside(server.delete_key, key_id)
    with pytest.raises(KeyUnavailable, match=r"Forbidden\.KeyNotFound"):
        await ring(server).open(envelope, accept=accept_any)


async def test_an_expired_token_opens_nothing(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    envelope = await envelope_with(server)
    for signature in ("acs3", "rpc-v1"):
        caplog.clear()
        with pytest.raises(KeyUnavailable, match="token"):
            await ring(server, access_key_id="expired", signature=signature).open(
                envelope, accept=accept_any
            )
        (record,) = caplog.records
        assert "Decrypt" in record.getMessage()


async def test_a_missing_permission_is_named_once(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    writer, reader = (ring(server, access_key_id=who) for who in ("writer", "reader"))
    envelope = await envelope_with(server)
    for _ in range(3):
        with pytest.raises(KeyUnavailable):
            await writer.open(envelope, accept=accept_any)
        with pytest.raises(KeyUnavailable):
            await reader.new_envelope()
    lines = [record.getMessage() for record in caplog.records]
    for action, line in zip(("Decrypt", "Encrypt"), lines, strict=True):
        assert f"the RAM policy must allow kms:{action}" in line
        assert ALIAS in line


async def test_damage_and_another_context_fail_as_any_cryptography_does(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    good = await envelope_with(server, context=CONTEXT)
    raw = good.wrapped_key
    flipped = bytearray(raw)
    flipped[-1] ^= 1
    wrapped = [
        (raw, {"x-passphrase": "4321"}),
        (raw, {}),
        (raw[:-1], CONTEXT),
        (raw[:40], CONTEXT),
        (raw[:10], CONTEXT),
        (bytes(flipped), CONTEXT),
        (base64.b64encode(raw)[:-4], CONTEXT),
        (b"\0", CONTEXT),
        (b"A", CONTEXT),
    ]
    texts = set()
    for value, context in wrapped:
        envelope = Envelope(wrapped_key=value, wrapped_start=good.wrapped_start, wrap_alg=KMS)
        for opening in (
            ring(server, context=context).open(envelope, accept=accept_any),
            ring(server, context=context).open_foreign(envelope),
        ):
            with pytest.raises(IntegrityError) as failed:
                await opening
            texts.add(str(failed.value))
    assert len(texts) == 1
    assert not caplog.records


@pytest.mark.parametrize("size", [0, 16, 31, 33])
async def test_a_data_key_of_another_length_is_refused(server: RunningServer, size: int) -> None:
    key = master(server)
    envelope = Envelope(
        wrapped_key=await key.wrap(b"k" * size) if size else await key.wrap(b"\0"),
        wrapped_start=await key.wrap(IV),
        wrap_alg=KMS,
    )
    with pytest.raises(IntegrityError):
        await Keyring([key]).open(envelope, accept=accept_any)
    with pytest.raises(IntegrityError):
        await Keyring([key]).open_foreign(envelope)


async def test_an_iv_with_a_middle_is_refused(server: RunningServer) -> None:
    key = master(server)
    envelope = Envelope(
        wrapped_key=await key.wrap(bytes(32)),
        wrapped_start=await key.wrap(b"\1" * 16),
        wrap_alg=KMS,
    )
    with pytest.raises(IntegrityError):
        await Keyring([key]).open_foreign(envelope)


async def test_damaged_base64_of_a_header_is_an_integrity_error(server: RunningServer) -> None:
    metadata = headers_of(await envelope_with(server))
    metadata["client-side-encryption-key"] = metadata["client-side-encryption-key"][:-1] + "!"
    with pytest.raises(IntegrityError):
        envelopes.parse(metadata)


async def test_the_kms_is_asked_only_by_keys_that_fit(server: RunningServer) -> None:
    key = master(server)
    other = FakeKey(name="other")
    before = len(server.kms_requests.all())
    _, _, envelope = await Keyring([other]).new_envelope()
    await Keyring([key, other]).open(envelope, accept=accept_any)
    assert len(server.kms_requests.all()) == before


# --- whose a blob is --------------------------------------------------------------------------


async def test_a_blob_of_another_key_of_the_kms_is_not_ours(server: RunningServer) -> None:
    ours, theirs = [await outside(server.create_key) for _ in range(2)]
    arn = (await client_of(master(server))._act("DescribeKey", ours, {"KeyId": ours}))[
        "KeyMetadata"
    ]["Arn"]
    await client_of(master(server))._act(
        "CreateAlias", ours, {"KeyId": ours, "AliasName": "alias/ours"}
    )
    good, bad = await envelope_with(server, ours), await envelope_with(server, theirs)
    for name in (ours, arn, "alias/ours", arn.replace(f"key/{ours}", "alias/ours")):
        for strict in (True, False):
            key = ring(server, name, strict=strict)
            await key.open(good, accept=accept_any)
            with pytest.raises(KeyUnavailable, match=theirs):
                await key.open(bad, accept=accept_any)
            with pytest.raises(KeyUnavailable, match=theirs):
                await key.open_foreign(bad)


async def test_two_keys_of_one_kms_open_what_is_theirs(server: RunningServer) -> None:
    ids = [await outside(server.create_key) for _ in range(2)]
    both = Keyring([master(server, key_id, name=key_id) for key_id in ids])
    for key_id in ids:
        envelope = await envelope_with(server, key_id)
        await both.open(envelope, accept=accept_any)
        assert both.name_for(envelope) == key_id


async def test_a_new_version_of_a_key_is_the_same_key(server: RunningServer) -> None:
    key_id = await outside(server.create_key)
    before = await envelope_with(server, key_id)
    await client_of(master(server))._act("CreateKeyVersion", key_id, {"KeyId": key_id})
    after = await envelope_with(server, key_id)
    reader = ring(server, key_id, strict=True)
    for envelope in (before, after):
        await reader.open(envelope, accept=accept_any)


async def test_an_alias_is_asked_about_again_after_a_while(autojump_clock: MockClock) -> None:
    kms = MockKms()
    wrapped = await KmsMasterKey(kms.client(), ALIAS).wrap(b"secret")
    key = KmsMasterKey(kms.client(), ALIAS, strict=True)
    assert await key.unwrap(wrapped, KMS) == b"secret"
    kms.key_id = "another"
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="another"):
            await key.unwrap(wrapped, KMS)
    assert [action for action, _ in kms.calls].count("DescribeKey") == 1
    await trio.sleep(RESOLVED_SECONDS)
    assert await key.unwrap(wrapped, KMS) == b"secret"


@pytest.mark.parametrize("strict", [True, False])
async def test_an_alias_that_cannot_be_asked_about_counts_where_nothing_is_required(
    server: RunningServer, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reader = ring(server, access_key_id="reader", strict=strict)
    for _ in range(3):
        envelope = await envelope_with(server)
        if strict:
            with pytest.raises(KeyUnavailable, match=r"kms:DescribeKey.* by its id"):
                await reader.open(envelope, accept=accept_any)
        else:
            await reader.open(envelope, accept=accept_any)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert ALIAS in record.getMessage()


async def test_a_key_that_encrypts_knows_what_its_alias_stands_for(server: RunningServer) -> None:
    writer = ring(server, access_key_id="undescribed", strict=True)
    await writer.new_envelope()
    await writer.open(await envelope_with(server), accept=accept_any)
    with pytest.raises(KeyUnavailable, match="belongs to"):
        await writer.open(
            await envelope_with(server, await outside(server.create_key)), accept=accept_any
        )


@pytest.mark.parametrize("context", [{}, CONTEXT, {"x-passphrase": "4321"}])
async def test_only_the_configured_context_counts_where_it_is_required(
    server: RunningServer, context: dict[str, str]
) -> None:
    envelope = await envelope_with(server, context=context)
    strict = ring(server, context=CONTEXT, strict=True)
    if context == CONTEXT:
        await strict.open(envelope, accept=accept_any)
    else:
        with pytest.raises(IntegrityError):
            await strict.open(envelope, accept=accept_any)
    if not context:
        await ring(server, context=CONTEXT).open(envelope, accept=accept_any)


async def test_an_answer_that_names_no_key_opens_nothing() -> None:
    kms = MockKms()
    key = KmsMasterKey(kms.client(), kms.key_id)
    wrapped = await key.wrap(b"secret")
    kms.key_id = ""
    with pytest.raises(KeyUnavailable, match="KeyId"):
        await key.unwrap(wrapped, KMS)


# --- at mount ---------------------------------------------------------------------------------


async def test_a_key_that_works_passes_its_check(server: RunningServer) -> None:
    for coding in ("single", "double", "deprecated"):
        await master(server, coding=coding).check(writes=True)
        await master(server, coding=coding, context=CONTEXT).check(writes=False)


@pytest.mark.parametrize("who", ["writer", "reader", "expired"])
async def test_a_refusal_is_a_key_problem_of_one_line(server: RunningServer, who: str) -> None:
    with pytest.raises(KeyProblem) as problem:
        await master(server, access_key_id=who).check(writes=True)
    assert "\n" not in str(problem.value)
    assert ALIAS in str(problem.value)


async def test_a_key_that_is_off_is_a_key_problem_for_reading_too(server: RunningServer) -> None:
    key_id = await outside(server.create_key)
    await outside(server.set_key_enabled, key_id, False)
    for writes in (True, False):
        with pytest.raises(KeyProblem, match=r"(?i)disabled"):
            await master(server, key_id).check(writes=writes)
    with pytest.raises(KeyProblem, match="no such alias"):
        await master(server, "alias/nobody").check(writes=False)


async def test_a_reader_that_must_know_its_key_and_cannot_is_a_problem(
    server: RunningServer,
) -> None:
    with pytest.raises(KeyProblem, match="kms:DescribeKey"):
        await master(server, access_key_id="reader", strict=True).check(writes=False)
    key_id = await outside(server.create_key)
    await master(server, key_id, access_key_id="reader", strict=True).check(writes=False)


async def test_reading_needs_no_permission_to_look(server: RunningServer) -> None:
    await master(server, access_key_id="reader").check(writes=False)


async def test_a_blob_that_no_header_has_room_for_is_refused() -> None:
    class Talkative(MockKms):
        def Encrypt(self, parameters: dict[str, str]) -> dict[str, Any]:
            blob = base64.b64encode(bytes(2000)).decode()
            return {"CiphertextBlob": blob, "KeyId": "a"}

    with pytest.raises(KeyUnavailable, match="2000 bytes"):
        await KmsMasterKey(Talkative().client(), ALIAS).wrap(b"secret")


async def test_nothing_secret_leaves_in_a_repr() -> None:
    kms = MockKms()
    key = KmsMasterKey(kms.client(), ALIAS, context=CONTEXT)
    assert "1234" not in repr(key)
    assert json.dumps(CONTEXT) not in repr(vars(kms.client()))
