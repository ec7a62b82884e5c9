"""A client of the KMS, API 2016-01-20: signs, sends, repeats where that may help, waits its turn.

    client = KmsClient(endpoint, credentials=…, transport=…, sign=acs3, pause=…, retries=5)
    made = await client.encrypt("alias/photos", "cGxhaW4=", {"x-passphrase": "…"})

Plaintexts and blobs are text as the API carries them, which is base64 by custom. Every action may
be repeated: none of these changes anything in the KMS.

An action takes at most so many seconds, whatever it waits for: its turn, the network, repetitions.
While the KMS cannot be reached, actions fail at once (`kms_circuit`).

Failures come out as KeyUnavailable (ENOKEY), and one line of the log says what is missing. It is
written when the failure begins, not again before the action has succeeded with that key, or with
any where the KMS was out of reach. Texts of the KMS are not quoted: some repeat what was signed,
and that may hold a plaintext.
"""

import json
import logging
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import httpx
import trio

from ossfs.errors import BucketError, KeyUnavailable
from ossfs.keys.base import WrongKey
from ossfs.keys.kms_circuit import Circuit
from ossfs.keys.kms_refusal import UNREACHABLE, KmsRefusal, refusal_of
from ossfs.keys.kms_signing import AccessKey, KmsRequest, Sign

log = logging.getLogger(__name__)

_ANSWER_BYTES = 1 << 20
_CONNECT_SECONDS = 10.0
_ATTEMPT_SECONDS = 5.0
_AT_A_TIME = 8
_ALL_KEYS = ""
"""In place of a key, where the trouble is that of no single one."""


class AccessKeySource(Protocol):
    """Where access keys come from."""

    async def get(self) -> AccessKey:
        """The one that is valid now. Raises BucketError where there is none."""


Pause = Callable[[int, float], float]
"""Seconds before the n-th repetition, n from 1; at least (within reason) what the KMS asks for."""

Context = Mapping[str, str]
"""What was given at encryption must be given at decryption; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedKey:
    """A data key that the KMS made."""

    blob: str
    plaintext: str

    def __repr__(self) -> str:
        return "<GeneratedKey>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    """A blob, and the id of the key that made it."""

    blob: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrypted:
    """A plaintext, and the id of the key whose blob it was in."""

    plaintext: str
    key_id: str

    def __repr__(self) -> str:
        return f"<Decrypted by {self.key_id}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDescription:
    """A key of the KMS; state: Enabled, Disabled, PendingDeletion, PendingImport."""

    key_id: str
    state: str


@final
class KmsClient:
    """One KMS endpoint; one instance serves many tasks, eight requests at a time."""

    def __init__(
        self,
        endpoint: str,
        *,
        credentials: AccessKeySource,
        transport: httpx.AsyncBaseTransport,
        sign: Sign,
        pause: Pause,
        retries: int,
        timeout: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """endpoint: scheme://host[:port]; timeout: seconds that an action may take in all."""
        self._url = httpx.URL(endpoint)
        self._credentials = credentials
        self._transport = transport
        self._sign = sign
        self._pause = pause
        self._retries = retries
        self._timeout = timeout
        # Silence may be that of one connection alone, so there must be time for another one.
        self._attempt_timeout = min(timeout, max(_ATTEMPT_SECONDS, timeout / 3))
        self._clock = clock
        self._clock_offset = 0.0
        self._limit = trio.CapacityLimiter(_AT_A_TIME)
        self._circuit = Circuit()
        self._not_before = 0.0
        self._complaints: dict[tuple[str, str], str] = {}

    async def aclose(self) -> None:
        """Closes the transport."""
        await self._transport.aclose()

    # --- actions --------------------------------------------------------------------------------

    async def encrypt(self, key_id: str, plaintext: str, context: Context) -> Encrypted:
        """Encrypt. Raises KeyUnavailable."""
        parameters = {"KeyId": key_id, "Plaintext": plaintext} | _context(context)
        answer = await self._act("Encrypt", key_id, parameters)
        return Encrypted(blob=_text(answer, "CiphertextBlob"), key_id=_text(answer, "KeyId"))

    async def decrypt(self, blob: str, context: Context, *, key_id: str) -> Decrypted:
        """Decrypt. key_id is for messages alone: the blob names its key, which may be another one.

        Raises WrongKey if the KMS cannot make sense of the blob (damaged, another context),
        KeyUnavailable.
        """
        answer = await self._act("Decrypt", key_id, {"CiphertextBlob": blob} | _context(context))
        return Decrypted(plaintext=_text(answer, "Plaintext"), key_id=_text(answer, "KeyId"))

    async def generate_data_key(self, key_id: str, context: Context) -> GeneratedKey:
        """GenerateDataKey of 32 bytes. Raises KeyUnavailable."""
        parameters = {"KeyId": key_id, "KeySpec": "AES_256", "NumberOfBytes": "32"}
        answer = await self._act("GenerateDataKey", key_id, parameters | _context(context))
        return GeneratedKey(
            blob=_text(answer, "CiphertextBlob"), plaintext=_text(answer, "Plaintext")
        )

    async def re_encrypt(
        self, blob: str, destination: str, *, source_context: Context, context: Context
    ) -> str:
        """ReEncrypt: the same plaintext under the key *destination*, seen by the KMS alone.

        Raises WrongKey as `decrypt`, KeyUnavailable.
        """
        parameters = {"CiphertextBlob": blob, "DestinationKeyId": destination}
        parameters |= _context(source_context, "SourceEncryptionContext")
        parameters |= _context(context, "DestinationEncryptionContext")
        return _text(await self._act("ReEncrypt", destination, parameters), "CiphertextBlob")

    async def describe(self, key_id: str) -> KeyDescription:
        """DescribeKey. Raises KeyUnavailable; KmsRefusal with `is_not_allowed` is not logged."""
        answer = await self._act("DescribeKey", key_id, {"KeyId": key_id})
        found = answer.get("KeyMetadata")
        metadata = found if isinstance(found, dict) else {}
        return KeyDescription(key_id=_text(metadata, "KeyId"), state=_text(metadata, "KeyState"))

    # --- repetitions ----------------------------------------------------------------------------

    async def _act(self, action: str, key_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        try:
            with self._circuit.action() as probing:
                answer = await self._in_time(action, parameters, probing)
        except KmsRefusal as refusal:
            if refusal.makes_no_sense_of_blob(action):
                raise WrongKey from None
            told = refusal.about(action, key_id)
            self._complain(action, key_id, told)
            raise told from refusal.__cause__
        for about in (key_id, _ALL_KEYS):
            self._complaints.pop((action, about), None)
        return answer

    async def _in_time(
        self, action: str, parameters: Mapping[str, str], probing: bool
    ) -> dict[str, Any]:
        with trio.move_on_after(self._timeout) as scope:
            return await self._repeated(action, parameters, probing, scope.deadline)
        raise self._silence(self._timeout)

    async def _repeated(
        self, action: str, parameters: Mapping[str, str], probing: bool, deadline: float
    ) -> dict[str, Any]:
        repetitions, clock_corrected = 0, False
        while True:
            try:
                return await self._attempt(action, parameters, probing)
            except KmsRefusal as refusal:
                if refusal.is_wrong_clock and not clock_corrected:
                    clock_corrected = True
                    self._correct_clock(refusal)
                elif self._may_repeat(refusal, repetitions, probing):
                    repetitions += 1
                    await self._wait(action, refusal, repetitions, deadline)
                else:
                    raise

    def _may_repeat(self, refusal: KmsRefusal, repetitions: int, probing: bool) -> bool:
        # A probe has found out what it is for as soon as one attempt is lost.
        lost = probing and refusal.is_unreachable
        return refusal.may_pass and repetitions < self._retries and not lost

    async def _wait(
        self, action: str, refusal: KmsRefusal, repetitions: int, deadline: float
    ) -> None:
        """Raises *refusal* if there is no time left."""
        seconds = self._pause(repetitions, refusal.asked_to_wait)
        log.info("%s repeated in %.1f s: %s", action, seconds, refusal)
        if refusal.throttled:
            # The limit is that of the account, so the other tasks had better wait too.
            self._not_before = max(self._not_before, trio.current_time() + seconds)
        if trio.current_time() + seconds >= deadline:
            raise refusal
        if not refusal.throttled:
            await trio.sleep(seconds)  # back-off, within the deadline of the action

    def _correct_clock(self, refusal: KmsRefusal) -> None:
        if refusal.server_time is not None:
            self._clock_offset = refusal.server_time - self._clock()
            log.warning("the clock differs from that of the KMS by %.0f s", self._clock_offset)

    def _complain(self, action: str, key_id: str, refusal: KmsRefusal) -> None:
        if action == "DescribeKey" and refusal.is_not_allowed:
            return
        about = (action, _ALL_KEYS if refusal.is_unreachable else key_id)
        if self._complaints.get(about) != refusal.code:
            self._complaints[about] = refusal.code
            log.error("%s", refusal)

    # --- one attempt ----------------------------------------------------------------------------

    async def _attempt(
        self, action: str, parameters: Mapping[str, str], probing: bool
    ) -> dict[str, Any]:
        await trio.sleep_until(self._not_before)
        async with self._limit:
            # The wait may have been long.
            self._circuit.check(probing)
            response = await self._exchanged(await self._request(action, parameters))
        self._circuit.answered()
        answer = _document(response.content)
        if response.status_code == 200 and answer is not None:
            return answer
        raise refusal_of(response.status_code, answer or {}, response.headers)

    async def _request(self, action: str, parameters: Mapping[str, str]) -> httpx.Request:
        try:
            access_key = await self._credentials.get()
        except BucketError as exc:
            raise KmsRefusal(str(exc), code="NoAccessKey") from exc
        body, headers = self._sign(
            access_key,
            KmsRequest(
                action=action,
                parameters=parameters,
                host=self._url.netloc.decode("ascii"),
                when=self._clock() + self._clock_offset,
                nonce=uuid.uuid4().hex,
            ),
        )
        return httpx.Request(
            "POST",
            self._url.copy_with(path="/"),
            headers=headers | {"accept-encoding": "identity"},
            content=body,
            extensions={
                "timeout": {
                    "connect": min(_CONNECT_SECONDS, self._attempt_timeout),
                    "read": self._attempt_timeout,
                    "write": self._attempt_timeout,
                    "pool": None,
                },
                "max_body": _ANSWER_BYTES,
            },
        )

    async def _exchanged(self, request: httpx.Request) -> httpx.Response:
        try:
            with trio.move_on_after(self._attempt_timeout):
                response = await self._transport.handle_async_request(request)
                await response.aread()
                return response
        except httpx.TransportError as exc:
            # A certificate or a version of TLS that is not accepted now will not be in a second.
            may_pass = not (
                isinstance(exc, httpx.UnsupportedProtocol)
                or isinstance(exc.__cause__, ssl.SSLCertVerificationError)
            )
            text = f"cannot reach the KMS at {self._url}: {exc}"
            raise KmsRefusal(text, code=UNREACHABLE, may_pass=may_pass) from exc
        raise self._silence(self._attempt_timeout)

    def _silence(self, seconds: float) -> KmsRefusal:
        text = f"cannot reach the KMS at {self._url}: no answer within {seconds:g} s"
        return KmsRefusal(text, code=UNREACHABLE, may_pass=True)


def _context(context: Context, name: str = "EncryptionContext") -> dict[str, str]:
    """Left out when empty, which for the KMS is the same."""
    return {name: json.dumps(dict(context), separators=(",", ":"))} if context else {}


def _document(body: bytes) -> dict[str, Any] | None:
    """The JSON object in *body*, None if it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise KeyUnavailable(f"the answer of the KMS lacks {name}")
    return found
