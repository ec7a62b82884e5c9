"""The table of all client-side modes, which README's table and the tests share."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import oss2
from alibabacloud_oss_v2.crypto import MasterCipher

from ossfs.keys.keyring_file import AesEntry, Entry, KmsEntry, RsaEntry
from tests.fuse.sdks import Sdk, oss2_sdk, rsa_cipher, v2_sdk
from tests.modes.independent import Form, independent_client, old_kms, old_rsa, symmetric
from tests.modes.place import KMS_KEY, PASSPHRASE, KmsCalls, Place

MakeClient = Callable[[Place], Sdk]
CONTEXT = {"x-passphrase": PASSPHRASE}


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way in which files are encrypted on the client.

    name, options, wrap_alg: as README has them. entry: the key, made for this mode; words: further
    options that a mount needs. readers read what we write, writers write what we read, in README's
    words; an independent client stands in where no SDK has the mode.
    """

    name: str
    options: str
    wrap_alg: str
    entry: Callable[[Place], Entry]
    words: tuple[str, ...]
    readers: dict[str, MakeClient]
    writers: dict[str, MakeClient]
    sealed: bool = True

    def __str__(self) -> str:
        return self.name


class KmsCipher(MasterCipher):  # type: ignore[misc]  # the SDK comes without types
    """The master cipher of the SDKs' samples: a local data key, wrapped by Encrypt."""

    def __init__(self, place: Place) -> None:
        self._kms = KmsCalls(place.kms_client())

    def get_wrap_algorithm(self) -> str:
        return "KMS/ALICLOUD"

    def get_mat_desc(self) -> str:
        return ""

    def encrypt(self, data: bytes) -> bytes:
        return base64.b64decode(self._kms.encrypt(base64.b64encode(data).decode()))

    def decrypt(self, data: bytes) -> bytes:
        return base64.b64decode(self._kms.decrypt(base64.b64encode(data).decode()))


def _oss2(make: Callable[[Place], Any]) -> MakeClient:
    return lambda place: oss2_sdk("", "", place.bucket, make(place))


def _v2(make: Callable[[Place], Any]) -> MakeClient:
    return lambda place: v2_sdk(place.bucket, make(place))


def _independent(form: Callable[[Place], Form]) -> MakeClient:
    return lambda place: independent_client(place, form(place))


def _rsa(padding: str) -> Callable[[Place], Entry]:
    return lambda place: RsaEntry(name="k", file=place.folder / "key.pem", padding=padding)


def _kms(coding: str, context: dict[str, str]) -> Callable[[Place], Entry]:
    return lambda _: KmsEntry(name="k", key_id=KMS_KEY, coding=coding, context=context)


RSA_PROVIDER = _oss2(lambda place: oss2.RsaProvider(key_pair=place.pair))
RSA_CIPHER = _v2(lambda place: rsa_cipher(place.pair["private_key"], place.pair["public_key"]))
LOCAL_RSA = _oss2(Place.local_rsa)
KMS_CIPHER = _v2(KmsCipher)
KMS_PROVIDER = _oss2(lambda place: place.kms_provider(PASSPHRASE))
KMS_PROVIDER_WITHOUT = _oss2(lambda place: place.kms_provider(None))
SYMMETRIC = _independent(symmetric)
OLD_RSA = _independent(old_rsa)
OLD_KMS = _independent(old_kms)

_RSA_WORDS = ("--rsa-key={folder}/key.pem",)
_KMS_WORDS = (f"--kms-key-id={KMS_KEY}", "--kms-endpoint={kms}")

MODES = (
    Mode(
        name="RSA",
        options="--encrypt rsa",
        wrap_alg="RSA/NONE/PKCS1Padding",
        entry=_rsa("pkcs1"),
        words=_RSA_WORDS,
        readers={"oss2 RsaProvider": RSA_PROVIDER, "alibabacloud-oss-v2": RSA_CIPHER},
        writers={"oss2 RsaProvider": RSA_PROVIDER, "alibabacloud-oss-v2": RSA_CIPHER},
    ),
    Mode(
        name="RSA with OAEP",
        options="--encrypt rsa --rsa-padding oaep-sha1",
        wrap_alg="RSA/NONE/OAEPWithSHA-1AndMGF1Padding",
        entry=_rsa("oaep-sha1"),
        words=_RSA_WORDS,
        readers={"oss2 LocalRsaProvider": LOCAL_RSA},
        writers={"oss2 LocalRsaProvider": LOCAL_RSA},
    ),
    Mode(
        name="KMS",
        options="--encrypt kms",
        wrap_alg="KMS/ALICLOUD",
        entry=_kms("single", {}),
        words=_KMS_WORDS,
        readers={"alibabacloud-oss-v2 with the KMS cipher of its samples": KMS_CIPHER},
        writers={"alibabacloud-oss-v2 with the KMS cipher of its samples": KMS_CIPHER},
    ),
    Mode(
        name="KMS as oss2 has it",
        options="--encrypt kms --kms-coding double",
        wrap_alg="KMS/ALICLOUD",
        entry=_kms("double", CONTEXT),
        words=(*_KMS_WORDS, f'--kms-context={{"x-passphrase": "{PASSPHRASE}"}}'),
        readers={"oss2 AliKMSProvider": KMS_PROVIDER},
        writers={"oss2 AliKMSProvider": KMS_PROVIDER},
    ),
    Mode(
        name="symmetric key",
        options="--encrypt aes",
        wrap_alg="AES/KeyWrap/RFC3394",
        entry=lambda place: AesEntry(name="k", file=place.folder / "aes.key"),
        words=("--aes-key={folder}/aes.key",),
        readers={"no SDK": SYMMETRIC},
        writers={"no SDK": SYMMETRIC},
    ),
    Mode(
        name="deprecated, RSA",
        options="--encrypt rsa --dialect deprecated",
        wrap_alg="rsa",
        entry=_rsa("deprecated"),
        words=_RSA_WORDS,
        readers={"oss2 LocalRsaProvider": LOCAL_RSA},
        writers={"oss2 up to 2.9": OLD_RSA},
        sealed=False,
    ),
    Mode(
        name="deprecated, KMS",
        options="--encrypt kms --dialect deprecated",
        wrap_alg="kms",
        entry=_kms("deprecated", {}),
        words=_KMS_WORDS,
        readers={"oss2 AliKMSProvider": KMS_PROVIDER_WITHOUT},
        writers={"oss2 up to 2.9": OLD_KMS},
        sealed=False,
    ),
)
