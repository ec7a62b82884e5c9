"""What the bytes of an object are, decided by its headers alone.

    match classify(info.metadata, info.size):
        case Plain(): ...
        case Foreign(envelope=envelope): ...             # an SDK wrote it: no authenticity
        case Own(envelope=envelope, seal=seal): ...      # ours: nothing counts before the head does

`--integrity off` looks at `envelope_of` alone and takes every object for a foreign one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ossfs.errors import IntegrityError
from ossfs.format import deprecated
from ossfs.format import envelope as envelopes
from ossfs.format import seal as seals
from ossfs.format.envelope import Envelope
from ossfs.format.seal import Seal


@dataclass(frozen=True, slots=True)
class Plain:
    """Not encrypted on a client: directory markers, special files, objects of other programs."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Client-side encrypted without our headers: written by an SDK, in the deprecated form, or
    stripped (see `Keyring`).
    """

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Own:
    """Client-side encrypted with our headers, which may still be forged or damaged."""

    envelope: Envelope
    seal: Seal


Contents = Plain | Foreign | Own

_DECIDING = envelopes.HEADERS | deprecated.HEADERS | seals.HEADERS


def envelope_of(metadata: Mapping[str, str]) -> Envelope | None:
    """The envelope of an object, in whichever form; None if it is not encrypted on a client.

    Where both forms are there the current one counts, as for the SDKs that know no other. Raises
    IntegrityError (malformed), Unsupported (a form that nobody writes).
    """
    # Nothing else is shown to the parsers, so that nothing decides which is not compared either.
    deciding = _deciding(metadata)
    return envelopes.parse(deciding) or deprecated.parse(deciding)


def classify(metadata: Mapping[str, str], size: int) -> Contents:
    """What the object with these headers and *size* bytes holds.

    Raises IntegrityError (malformed headers, a seal without an envelope of the current form) and
    Unsupported (an envelope that nobody writes, a newer format).
    """
    envelope = envelope_of(metadata)
    seal = seals.parse(_deciding(metadata), size)
    if envelope is None or envelope.deprecated:
        if seal is not None:
            raise IntegrityError("the envelope of the object is missing")
        return Plain() if envelope is None else Foreign(envelope)
    return Foreign(envelope) if seal is None else Own(envelope, seal)


def same_content(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether the same stored bytes hold the same content under either of these headers.

    Headers can be replaced while the bytes, and with them the ETag, stay.
    """
    return _deciding(one) == _deciding(other)


def without_encryption(metadata: Mapping[str, str]) -> dict[str, str]:
    """The headers that say nothing of the encryption: attributes, and what others put there."""
    return {
        name: value
        for name, value in metadata.items()
        if name not in _DECIDING and not name.startswith((envelopes.PREFIX, seals.PREFIX))
    }


def _deciding(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name in _DECIDING}
