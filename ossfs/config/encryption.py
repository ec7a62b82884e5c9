"""Which kind of key encrypts new files, and which combinations of key options make no sense.

What a keyring holds is not known here: whoever loads it checks the same of its active key.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ossfs.config.conversion import Wanted
from ossfs.config.sections import Keys
from ossfs.errors import UsageError

Kind = Literal["rsa", "kms", "aes"]

_MISSING = {
    "rsa": "--encrypt rsa needs a key: give --rsa-key PEM (`ossfs keygen NAME` makes one)",
    "kms": "--encrypt kms needs a key: give --kms-key-id ID, ARN or alias/NAME",
    "aes": "--encrypt aes needs a key: give --aes-key FILE (`openssl rand -hex 32` makes one)",
}


def settle(keys: Keys) -> Keys:
    """*keys* with `encrypt` decided; it stays "" only where the keyring's active key decides.

    Raises UsageError.
    """
    given = _given(keys)
    if keys.keyring is not None:
        _check_keyring(keys, given)
    elif not keys.encrypt:
        keys = replace(keys, encrypt=_only_one(given))
    elif keys.encrypt != "none" and keys.encrypt not in given:
        raise UsageError(_MISSING[keys.encrypt])
    _check_integrity(keys)
    _check_dialect(keys)
    return keys


def settle_conversion(keys: Keys, wanted: Wanted) -> Keys:
    """*keys* for a conversion to *wanted*: there may be none, if nothing is encrypted or opened.

    `encrypt` becomes the kind that is wanted, so that its key comes first. Raises UsageError.
    """
    given = _given(keys)
    if keys.keyring is not None:
        _check_keyring(keys, given)
        keys = replace(keys, encrypt="")
    elif wanted.encrypt not in {"", "none", *given}:
        raise UsageError(_MISSING[wanted.encrypt])
    else:
        kinds: list[Kind] = [kind for kind in given if kind == wanted.encrypt] or given
        keys = replace(keys, encrypt=kinds[0] if kinds else "none")
    if wanted.changes_client:
        _check_integrity(replace(keys, encrypt=wanted.encrypt or keys.encrypt))
        _check_dialect(replace(keys, encrypt=wanted.encrypt or keys.encrypt))
    return keys


def _given(keys: Keys) -> list[Kind]:
    """Kinds of keys that options of their own name."""
    kinds: dict[Kind, bool] = {
        "rsa": bool(keys.rsa_keys),
        "kms": bool(keys.kms_key_id),
        "aes": keys.aes_key is not None,
    }
    return [kind for kind, is_given in kinds.items() if is_given]


def _only_one(given: Sequence[Kind]) -> Kind:
    if not given:
        raise UsageError(
            "no key is given: make one with `ossfs keygen NAME` and give --rsa-key NAME.pem, "
            "name one in the KMS with --kms-key-id, "
            "or store new files unencrypted with --encrypt none"
        )
    if len(given) > 1:
        raise UsageError(
            f"keys of several kinds: say which encrypts, --encrypt {' or '.join(given)}"
        )
    return given[0]


def _check_keyring(keys: Keys, given: Sequence[Kind]) -> None:
    if given:
        raise UsageError(
            f"--keyring names all keys: add the {given[0]} key to it with `ossfs key add`"
        )
    if keys.matdesc or keys.key_passphrase_file is not None:
        option = "--matdesc" if keys.matdesc else "--key-passphrase-file"
        raise UsageError(f"{option}: each key has its own in the keyring")


def _check_integrity(keys: Keys) -> None:
    if keys.encrypt == "none" and keys.integrity == "require":
        raise UsageError(
            "--integrity require refuses what --encrypt none would write: drop one of them"
        )


def _check_dialect(keys: Keys) -> None:
    if keys.dialect == "current":
        return
    if keys.integrity == "require":
        raise UsageError(
            "--integrity require refuses what --dialect deprecated would write: drop one of them"
        )
    if keys.encrypt in {"none", "aes"}:
        raise UsageError(
            f"--dialect deprecated: there is no such form with --encrypt {keys.encrypt}"
        )
    if keys.matdesc:
        raise UsageError("--dialect deprecated: that form has no room for --matdesc")
