"""The official SDKs unwrap what the keyring wraps, and the keyring what they wrap."""

import base64
from pathlib import Path
from typing import Any

import oss2
import pytest
from alibabacloud_oss_v2.crypto import MasterRsaCipher
from oss2.utils import AESCTRCipher

from ossfs.crypto.body import BodyCipher
from ossfs.crypto.datakey import DataKey
from ossfs.format import envelope as envelopes
from ossfs.keys.keyring import Keyring
from ossfs.keys.rsa import RsaMasterKey
from tests.keys.fakes import private_pem, public_pem, rsa_key

PLAIN = bytes(i * 7 + 3 & 255 for i in range(1000))


def rsa_provider(_directory: Path) -> Any:
    pair = {"private_key": private_pem(rsa_key()), "public_key": public_pem(rsa_key())}
    return oss2.RsaProvider(key_pair=pair)


def local_rsa_provider(directory: Path) -> Any:
    (directory / "k.private_key.pem").write_bytes(private_pem(rsa_key(), pkcs1=True))
    (directory / "k.public_key.pem").write_bytes(public_pem(rsa_key()))
    return oss2.LocalRsaProvider(dir=str(directory), key="k")


@pytest.mark.parametrize(
    ("padding", "make"), [("pkcs1", rsa_provider), ("oaep-sha1", local_rsa_provider)]
)
async def test_oss2_and_the_keyring_open_each_other_s_envelopes(
    padding: str, make: Any, tmp_path: Path
) -> None:
    provider = make(tmp_path)
    ring = Keyring([RsaMasterKey(rsa_key(), name="k", padding=padding)])
    key, _, envelope = await ring.new_envelope()
    assert envelope.wrap_alg == provider.wrap_alg
    assert provider.decrypt_encrypted_key(envelope.wrapped_key) == key.reveal()
    assert provider.decrypt_encrypted_iv(envelope.wrapped_start) == key.iv()

    cipher = AESCTRCipher()
    cipher.initialize(key.reveal(), key.iv())
    assert cipher.decrypt(BodyCipher(key, key.iv()).apply(0, PLAIN)) == PLAIN

    material = provider.create_content_material()
    theirs = envelopes.parse(
        {
            "client-side-encryption-key": base64.b64encode(material.encrypted_key).decode(),
            "client-side-encryption-start": base64.b64encode(material.encrypted_iv).decode(),
            "client-side-encryption-cek-alg": material.cek_alg,
            "client-side-encryption-wrap-alg": material.wrap_alg,
        }
    )
    assert theirs is not None
    opened, iv = await ring.open_foreign(theirs)
    assert BodyCipher(opened, iv).apply(0, material.cipher.encrypt(PLAIN)) == PLAIN


async def test_the_second_sdk_and_the_keyring_open_each_other_s_envelopes() -> None:
    cipher = MasterRsaCipher(
        mat_desc={},
        public_key=public_pem(rsa_key()).decode(),
        private_key=private_pem(rsa_key()).decode(),
    )
    ring = Keyring([RsaMasterKey(rsa_key(), name="k")])
    key, _, envelope = await ring.new_envelope()
    assert envelope.wrap_alg == cipher.get_wrap_algorithm()
    assert cipher.decrypt(envelope.wrapped_key) == key.reveal()
    assert cipher.decrypt(envelope.wrapped_start) == key.iv()

    theirs = envelopes.Envelope(
        wrapped_key=cipher.encrypt(DataKey.generate().reveal()),
        wrapped_start=cipher.encrypt(b"\1" * 8 + bytes(4) + b"\2" * 4),
        wrap_alg=cipher.get_wrap_algorithm(),
    )
    _, iv = await Keyring([RsaMasterKey(rsa_key(), name="k")]).open_foreign(theirs)
    assert iv == b"\1" * 8 + bytes(4) + b"\2" * 4
