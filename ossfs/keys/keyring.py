"""The keyring of a mount: its first key wraps new data keys, all of its keys unwrap.

    key, iv, envelope = await keyring.new_envelope()
    key = await keyring.open(envelope, accept=lambda k: seal.accepts(k, …))     # our own objects
    key, iv = await keyring.open_foreign(envelope)        # objects of the SDKs, deprecated ones

Which keys are tried: those that understand the object's wrap-alg and whose description (matdesc)
does not contradict the object's. Two descriptions contradict each other if both are set and differ;
an absent one equals `{}` and excludes nothing, since the head (or, for objects of the SDKs, the
length of key and IV and the zeros in it, 1 in 10^15) tells a wrong key anyway. Equal ones go first.
A key whose KMS is silent does not hold up the others: the next one is tried beside it after a
second, and for a while it goes last.

Errors of opening: KeyUnavailable (ENOKEY) only from public facts, which are wrap-alg, matdesc, that
only a public key is here, and the answer of a KMS. Whatever depends on a secret, be it padding,
length, head or IV, is one IntegrityError with one text.
"""

import math
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar, final

import trio

from ossfs.crypto.datakey import FAILED, DataKey, is_usable_iv
from ossfs.errors import IntegrityError, KeyUnavailable, OssfsError
from ossfs.format import deprecated
from ossfs.format.envelope import DEPRECATED_ALGS, Envelope
from ossfs.keys.base import MasterKey
from ossfs.keys.race import Race
from ossfs.keys.secrets import SecretCache

_Opened = TypeVar("_Opened")

PATIENCE = 1.0
SLOW_SECONDS = 60.0
_OWN_LIMIT = 1 << 18


@final
class Keyring:
    """The master keys of one mount, and a memory of the secrets that they unwrapped."""

    def __init__(
        self,
        keys: Sequence[MasterKey],
        *,
        remember: int = 4096,
        seconds: float = 300.0,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        """keys: may be empty, for a mount without client-side encryption.

        remember, seconds: how many unwrapped secrets are kept, and how long. Where a public key
        wraps, the data keys of the mount's own new files are kept without a time limit, up to
        262,144 of them: nothing else could read these files back.
        """
        self._keys = tuple(keys)
        self._opened = SecretCache(limit=remember, seconds=seconds, clock=clock)
        self._own = SecretCache(limit=_OWN_LIMIT, seconds=math.inf, clock=clock)
        self._names = SecretCache(limit=remember, seconds=math.inf, clock=clock)
        self._clock = clock
        self._slow_until: dict[int, float] = {}
        self._flights: dict[tuple[int, str, bytes], _Flight] = {}

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All of them, the one that wraps unless another is named first."""
        return self._keys

    @property
    def writer(self) -> MasterKey | None:
        """The key that wraps for new files, unless another is named."""
        return self._keys[0] if self._keys else None

    def name_for(self, envelope: Envelope) -> str | None:
        """Name of the key that wrapped *envelope*: the one that opened it, as far as is known, else
        the one that would be tried first; None if there is none.
        """
        known = self._names.get(envelope.wrap_alg, envelope.wrapped_key)
        if known is not None:
            return known.decode()
        fitting = self._fitting(envelope)
        return fitting[0].name if fitting else None

    async def new_envelope(
        self, writer: MasterKey | None = None
    ) -> tuple[DataKey, bytes, Envelope]:
        """A fresh data key, its IV (the derived one) and its envelope.

        writer: which of the keys wraps, the first one where it is None. If that wraps for the
        deprecated form, the envelope has that form, and the IV is a random start of the counter.
        Raises KeyUnavailable without a key, and what a remote master key raises.
        """
        writer = writer or self.writer
        if writer is None:
            raise KeyUnavailable("no master key is configured that could encrypt a new file")
        key = DataKey.generate()
        if writer.wrap_alg in DEPRECATED_ALGS:
            iv, envelope, packed = await _wrap_deprecated(writer, key)
        else:
            iv, envelope, packed = await _wrap(writer, key)
        cache = self._opened if writer.can_unwrap else self._own
        for wrapped, secret in packed.items():
            cache.put(envelope.wrap_alg, wrapped, secret)
        self._names.put(envelope.wrap_alg, envelope.wrapped_key, writer.name.encode())
        return key, iv, envelope

    async def open(self, envelope: Envelope, *, accept: Callable[[DataKey], bool]) -> DataKey:
        """The data key of an object of ours; *accept* is the check of its head.

        Raises KeyUnavailable, IntegrityError, and what a remote master key raises.
        """
        known = self._known(envelope, envelope.wrapped_key)
        if known is not None:
            return _accepted(DataKey(known), accept)

        async def attempt(master: MasterKey) -> DataKey:
            raw = await self._unwrap(master, envelope.wrap_alg, envelope.wrapped_key)
            key = _accepted(DataKey(raw), accept)
            self._remember(master, envelope, {envelope.wrapped_key: raw})
            return key

        return await self._first(envelope, attempt)

    async def open_foreign(
        self, envelope: Envelope, *, refuse_own: bool = True
    ) -> tuple[DataKey, bytes]:
        """Data key and IV of an object without our headers, both unwrapped.

        refuse_own: an object whose IV is the derived one was ours and lost its authenticity headers
        (chance 2^-96): an IntegrityError. False only for `--integrity off`, and for `verify`, which
        compares the two itself. Raises as `open`.
        """
        key, iv = await self._open_pair(envelope)
        if refuse_own and iv == key.iv():
            raise IntegrityError(FAILED)
        return key, iv

    async def _open_pair(self, envelope: Envelope) -> tuple[DataKey, bytes]:
        known_key = self._known(envelope, envelope.wrapped_key)
        known_iv = self._known(envelope, envelope.wrapped_start)
        if known_key is not None and known_iv is not None:
            return _checked_pair(envelope, known_key, known_iv)

        async def attempt(master: MasterKey) -> tuple[DataKey, bytes]:
            raw = await self._unwrap(master, envelope.wrap_alg, envelope.wrapped_key)
            iv = await self._unwrap(master, envelope.wrap_alg, envelope.wrapped_start)
            pair = _checked_pair(envelope, raw, iv)
            self._remember(
                master, envelope, {envelope.wrapped_key: raw, envelope.wrapped_start: iv}
            )
            return pair

        return await self._first(envelope, attempt)

    def _remember(
        self, master: MasterKey, envelope: Envelope, packed: Mapping[bytes, bytes]
    ) -> None:
        for wrapped, secret in packed.items():
            self._opened.put(envelope.wrap_alg, wrapped, secret)
        self._names.put(envelope.wrap_alg, envelope.wrapped_key, master.name.encode())

    def _known(self, envelope: Envelope, wrapped: bytes) -> bytes | None:
        secret = self._opened.get(envelope.wrap_alg, wrapped)
        return secret if secret is not None else self._own.get(envelope.wrap_alg, wrapped)

    async def _first(
        self, envelope: Envelope, attempt: Callable[[MasterKey], Awaitable[_Opened]]
    ) -> _Opened:
        """What the first key gives with which *attempt* succeeds; keys that do not say a word for a
        second are overtaken.
        """
        usable = self._usable(envelope)
        race = Race([partial(attempt, master) for master in usable], patience=PATIENCE)
        opened = await race.run()
        for slow in race.overtaken:
            self._slow_until[id(usable[slow])] = self._clock() + SLOW_SECONDS
        return opened

    def _usable(self, envelope: Envelope) -> list[MasterKey]:
        fitting = self._fitting(envelope)
        if not fitting:
            raise KeyUnavailable(
                f"no key here has the wrap-alg {envelope.wrap_alg} and the matdesc of the object"
            )
        usable = [master for master in fitting if master.can_unwrap]
        if not usable:
            raise KeyUnavailable("only the public part of the object's key is here")
        now = self._clock()
        return sorted(usable, key=lambda master: self._slow_until.get(id(master), -math.inf) > now)

    def _fitting(self, envelope: Envelope) -> list[MasterKey]:
        fitting = [
            master
            for master in self._keys
            if envelope.wrap_alg in master.unwrap_algs and _agree(master.matdesc, envelope.matdesc)
        ]
        return sorted(fitting, key=lambda master: dict(master.matdesc) != dict(envelope.matdesc))

    async def _unwrap(self, master: MasterKey, wrap_alg: str, wrapped: bytes) -> bytes:
        """As `master.unwrap`, but equal ones at the same time are one."""
        ident = (id(master), wrap_alg, wrapped)
        while (flight := self._flights.get(ident)) is not None:
            await flight.ended.wait()
            if flight.error is not None:
                raise flight.error
            if flight.secret is not None:
                return flight.secret
            # The task that unwrapped was cancelled: this one may have to do it.
        flight = self._flights[ident] = _Flight()
        try:
            flight.secret = await master.unwrap(wrapped, wrap_alg)
        except OssfsError as error:
            flight.error = error
            raise
        finally:
            del self._flights[ident]
            flight.ended.set()
        return flight.secret


class _Flight:
    """One unwrap under way, which others wait for."""

    __slots__ = ("ended", "error", "secret")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.secret: bytes | None = None
        self.error: OssfsError | None = None


def _agree(ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    return not ours or not theirs or dict(ours) == dict(theirs)


def _accepted(key: DataKey, accept: Callable[[DataKey], bool]) -> DataKey:
    if not accept(key):
        raise IntegrityError(FAILED)
    return key


def _checked_pair(envelope: Envelope, raw: bytes, start: bytes) -> tuple[DataKey, bytes]:
    """Data key and IV in what was unwrapped. Raises IntegrityError."""
    if envelope.deprecated:
        key = DataKey(deprecated.unpack_key(envelope.wrap_alg, raw))
        return key, deprecated.unpack_start(start)
    key = DataKey(raw)
    if not is_usable_iv(start):
        raise IntegrityError(FAILED)
    return key, start


async def _wrap(writer: MasterKey, key: DataKey) -> tuple[bytes, Envelope, dict[bytes, bytes]]:
    """IV, envelope, and the secret in each wrapped value that reading one's own file takes."""
    envelope = Envelope(
        wrapped_key=await writer.wrap(key.reveal()),
        wrapped_start=await writer.wrap(key.iv()),
        wrap_alg=writer.wrap_alg,
        matdesc=dict(writer.matdesc),
    )
    return key.iv(), envelope, {envelope.wrapped_key: key.reveal()}


async def _wrap_deprecated(
    writer: MasterKey, key: DataKey
) -> tuple[bytes, Envelope, dict[bytes, bytes]]:
    """As `_wrap`, in the deprecated form."""
    raw = deprecated.pack_key(writer.wrap_alg, key.reveal())
    start = deprecated.pack_start(secrets.randbelow(deprecated.LAST_START) + 1)
    envelope = Envelope(
        wrapped_key=await writer.wrap(raw),
        wrapped_start=await writer.wrap(start),
        cek_alg=deprecated.CEK_ALG,
        wrap_alg=writer.wrap_alg,
        deprecated=True,
    )
    packed = {envelope.wrapped_key: raw, envelope.wrapped_start: start}
    return deprecated.unpack_start(start), envelope, packed
