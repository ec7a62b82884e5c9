"""Which of the master keys at hand encrypts: by its name, its kind, or as the one in use.

writer = choose(keyring.keys, kind="rsa", name="")
"""

from collections.abc import Sequence

from ossfs.config.options import did_you_mean
from ossfs.errors import KeyProblem
from ossfs.format.envelope import (
    AES_KEY_WRAP,
    DEPRECATED_KMS,
    DEPRECATED_RSA,
    KMS,
    RSA_OAEP_SHA1,
    RSA_PKCS1,
)
from ossfs.keys.base import MasterKey

_KINDS = {
    RSA_PKCS1: "rsa",
    RSA_OAEP_SHA1: "rsa",
    DEPRECATED_RSA: "rsa",
    KMS: "kms",
    DEPRECATED_KMS: "kms",
    AES_KEY_WRAP: "aes",
}


def kind_of(key: MasterKey) -> str:
    """rsa, kms or aes."""
    return _KINDS.get(key.wrap_alg, key.wrap_alg)


def choose(keys: Sequence[MasterKey], *, kind: str, name: str) -> MasterKey:
    """The key of that name, or of that kind ("" for any) if no name is given.

    keys: the one that is in use first. Without a name that one counts if its kind fits, else the
    only one of the kind. Raises KeyProblem.
    """
    if name:
        return _named(keys, kind, name)
    fitting = [key for key in keys if kind in {"", kind_of(key)}]
    if not fitting:
        raise KeyProblem(f"there is no {kind or 'master'} key")
    if len(fitting) > 1 and fitting[0] is not keys[0]:
        names = " or ".join(key.name for key in fitting)
        raise KeyProblem(f"there are several {kind} keys; name one, {names}")
    return fitting[0]


def _named(keys: Sequence[MasterKey], kind: str, name: str) -> MasterKey:
    found = [key for key in keys if key.name == name]
    if not found:
        raise KeyProblem(f"there is no key {name}{did_you_mean(name, [k.name for k in keys])}")
    if len(found) > 1:
        raise KeyProblem(f"there are several keys {name}; give them names in a keyring")
    if kind not in {"", kind_of(found[0])}:
        raise KeyProblem(f"the key {name} is {kind_of(found[0])}, not {kind}")
    return found[0]
