"""Which key encrypts where, from the configuration and the keys at hand."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from ossfs.compose.checks import check_metadata_room, check_writers
from ossfs.compose.protections import Writers, build_policy, choose_writers
from ossfs.config.address import parse_bucket_url
from ossfs.config.resolve import Written, resolve_mount
from ossfs.config.sections import MountConfig
from ossfs.errors import KeyProblem, UsageError
from ossfs.format.envelope import AES_KEY_WRAP, KMS, RSA_PKCS1
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring import Keyring
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.kms_client import Decrypted, Encrypted
from ossfs.keys.pool import EnvelopePool
from ossfs.store.base import ServerEncryption
from tests.keys.fakes import FakeKey

ALGS = {"rsa": RSA_PKCS1, "kms": KMS, "aes": AES_KEY_WRAP}


def key(name: str, kind: str, **more: Any) -> FakeKey:
    return FakeKey(name=name, wrap_alg=ALGS[kind], unwrap_algs=frozenset({ALGS[kind]}), **more)


ACTIVE, SECOND, SYMMETRIC = key("active", "rsa"), key("second", "rsa"), key("archive", "aes")
REMOTE = key("remote", "kms")
KEYS = [ACTIVE, SECOND, SYMMETRIC, REMOTE]


def config(toml: str = "", **options: str) -> MountConfig:
    given = {"region": "cn-hangzhou", "encrypt": "rsa", "rsa-key": "k.pem"} | {
        name.replace("_", "-"): text for name, text in options.items()
    }
    written = Written(
        pairs=list(given.items()),
        environ={},
        cwd=Path("/"),
        uid=0,
        toml=(Path("/c.toml"), toml),
    )
    return resolve_mount(parse_bucket_url("oss://bkt/team"), Path("/mnt"), written)


def rule(**says: str) -> str:
    lines = [f"{name} = '{text}'" for name, text in ({"glob": "g"} | says).items()]
    return "\n".join(["[[policy]]", *lines, ""])


def chosen(toml: str, keys: Sequence[MasterKey] = KEYS, **options: str) -> Writers:
    return choose_writers(config(toml, **options), Keyring(keys))


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"sse": "KMS"}, ACTIVE),
        ({"encrypt": "none"}, None),
        ({"encrypt": "rsa"}, ACTIVE),
        ({"encrypt": "aes"}, SYMMETRIC),
        ({"encrypt": "kms"}, REMOTE),
        ({"key": "second"}, SECOND),
        ({"key": "second", "encrypt": "rsa"}, SECOND),
        ({"key": "archive"}, SYMMETRIC),
    ],
)
def test_a_rule_names_its_key_or_kind_or_has_that_of_the_mount(
    says: dict[str, str], expected: MasterKey | None
) -> None:
    ((_, found),) = chosen(rule(**says)).by_rule
    assert found is expected


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"key": "secon"}, "there is no key secon; did you mean second?"),
        ({"key": "second", "encrypt": "kms"}, "the key second is rsa, not kms"),
        ({"key": "archive", "encrypt": "rsa"}, "the key archive is aes, not rsa"),
    ],
)
def test_a_key_that_is_not_there_or_does_not_fit_is_a_key_problem(
    says: dict[str, str], text: str
) -> None:
    with pytest.raises(KeyProblem) as caught:
        chosen(rule(**says))
    assert str(caught.value) == f"/c.toml: [[policy]] number 1 (g): {text}"
    assert caught.value.exit_code == 4


def test_a_kind_that_several_keys_or_none_have_says_so() -> None:
    with pytest.raises(KeyProblem, match="several rsa keys; name one, second or third"):
        chosen(rule(encrypt="rsa"), [SYMMETRIC, SECOND, key("third", "rsa")])
    with pytest.raises(KeyProblem, match="there is no aes key"):
        chosen(rule(encrypt="aes"), [ACTIVE])
    with pytest.raises(KeyProblem, match="several keys second"):
        chosen(rule(key="second"), [ACTIVE, SECOND, key("second", "aes")])


def test_where_the_mount_encrypts_nothing_a_rule_still_may() -> None:
    toml = rule(key="second") + rule(sse="AES256")
    writers = chosen(toml, encrypt="none")
    assert writers.default is None
    assert [found for _, found in writers.by_rule] == [SECOND, None]
    assert writers.keys == (SECOND,)


def test_each_key_is_checked_once() -> None:
    toml = rule(key="second") + rule(key="second", sse="KMS") + rule(key="active")
    assert chosen(toml).keys == (ACTIVE, SECOND)


def test_the_deprecated_form_has_no_symmetric_keys_by_rule_either() -> None:
    with pytest.raises(KeyProblem, match="archive is symmetric"):
        chosen(rule(key="archive"), dialect="deprecated")
    assert chosen(rule(key="second"), dialect="deprecated").keys == (ACTIVE, SECOND)


def test_the_headers_of_every_key_must_have_room() -> None:
    wide = key("wide", "rsa", wrapped_limit=5000)
    writers = chosen(rule(key="wide"), [ACTIVE, wide])
    with pytest.raises(UsageError, match="headers of a file could take"):
        check_metadata_room(writers.keys, "team")
    check_metadata_room(chosen("", [ACTIVE, wide]).keys, "team")


class Client:
    """A KMS that notes which keys are used."""

    def __init__(self) -> None:
        self.used: list[str] = []

    async def encrypt(self, key_id: str, plaintext: str, context: object) -> Encrypted:
        await trio.lowlevel.checkpoint()
        self.used.append(key_id)
        blob = base64.b64encode(b"id-" + plaintext.encode()).decode()
        return Encrypted(blob=blob, key_id=key_id)

    async def decrypt(self, blob: str, context: object, *, key_id: str) -> Decrypted:
        await trio.lowlevel.checkpoint()
        plaintext = base64.b64decode(blob).removeprefix(b"id-").decode()
        return Decrypted(plaintext=plaintext, key_id=key_id)


def remote(name: str, client: Any) -> KmsMasterKey:
    return KmsMasterKey(client, name)


async def test_every_kms_key_that_encrypts_is_tried_and_has_data_keys_made_ahead(
    nursery: trio.Nursery,
) -> None:
    client = Client()
    names = ("one", "two", "unused")
    keys: list[MasterKey] = [*(remote(name, client) for name in names), ACTIVE]
    settings = config(rule(key="two", sse="KMS:cmk") + rule(key="active"), encrypt="rsa")
    keyring = Keyring(keys)
    writers = choose_writers(settings, keyring)
    await check_writers(writers.keys, settings)
    assert set(client.used) == {"one", "two"}
    spawned: list[Any] = []
    policy = build_policy(settings, keyring, writers, spawned.append)
    assert len(spawned) == 2
    (found,) = {policy.new_files("team/g/f")} - {policy.default}
    assert found.key_name == "active"
    assert isinstance(policy.default.protection.source, EnvelopePool)
    source = found.protection.source
    assert source is not None
    _, _, envelope = await source.new_envelope()
    assert envelope.wrap_alg == RSA_PKCS1


async def test_the_policy_is_what_the_rules_say(nursery: trio.Nursery) -> None:
    toml = (
        "[[policy]]\nglob = 'a'\nsse = 'none'\n"
        "[[policy]]\nglob = 'b'\nkey = 'second'\n"
        "[[policy]]\nglob = 'c'\nencrypt = 'none'\nsse = 'KMS:cmk'\n"
    )
    settings = config(toml, sse="AES256")
    keyring = Keyring(KEYS)
    policy = build_policy(settings, keyring, choose_writers(settings, keyring), nursery.start_soon)
    aes = ServerEncryption(algorithm="AES256")
    found = {name: policy.new_files(f"team/{name}") for name in ("a", "b", "c", "d")}
    assert {name: new.key_name for name, new in found.items()} == {
        "a": "active",
        "b": "second",
        "c": "",
        "d": "active",
    }
    assert {name: new.protection.server for name, new in found.items()} == {
        "a": None,
        "b": aes,
        "c": ServerEncryption(algorithm="KMS", key_id="cmk"),
        "d": aes,
    }
    assert found["c"].protection.source is None
