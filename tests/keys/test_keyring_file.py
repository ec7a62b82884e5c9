"""A keyring file says which keys there are, or in one line what is wrong with it."""

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.config.sections import Keys
from ossfs.errors import KeyProblem
from ossfs.keys import keyring_editing, keyring_file
from ossfs.keys.base import MasterKey
from ossfs.keys.keyring_file import AesEntry, Entry, KmsEntry, RsaEntry
from ossfs.keys.masters import load_masters
from ossfs.keys.trial import try_key
from tests.keys.fakes import FakeKey, private_pem, public_pem, rsa_key, write_private

FULL = """
# of the whole team
active = "new"

[key.old]
kind = "rsa"
file = "old.pem"
passphrase-file = "old.txt"
padding = "oaep-sha1"

[key.new]   # since May
kind = "aes"
file = "/keys/new.key"
matdesc = { year = "2025", team = "a" }

[key.cloud]
kind = "kms"
key-id = "alias/photos"
endpoint = "https://kms.cn-hangzhou.aliyuncs.com"
coding = "double"
context = { x-passphrase = "open sesame" }
ca-bundle = "ca.pem"
"""
HERE = Path("/etc/ossfs/keys.toml")


def refusal(text: str) -> str:
    with pytest.raises(KeyProblem) as caught:
        keyring_file.parse(text, HERE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fake_kms(entry: KmsEntry) -> MasterKey:
    algs = frozenset({entry.coding})
    return FakeKey(name=entry.name, wrap_alg=entry.coding, unwrap_algs=algs)


def test_every_kind_is_read_and_file_names_are_relative_to_the_folder_of_the_keyring() -> None:
    ring = keyring_file.parse(FULL, HERE)
    assert ring.active == "new"
    assert ring.entries == (
        RsaEntry(
            name="old",
            file=Path("/etc/ossfs/old.pem"),
            passphrase_file=Path("/etc/ossfs/old.txt"),
            padding="oaep-sha1",
        ),
        AesEntry(name="new", file=Path("/keys/new.key"), matdesc={"year": "2025", "team": "a"}),
        KmsEntry(
            name="cloud",
            key_id="alias/photos",
            endpoint="https://kms.cn-hangzhou.aliyuncs.com",
            coding="double",
            context={"x-passphrase": "open sesame"},
            ca_bundle=Path("/etc/ossfs/ca.pem"),
        ),
    )
    assert "open sesame" not in repr(ring)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("active = ", "is not TOML"),
        ("", "has no keys"),
        ('key = "a"', "has no keys"),
        ('actve = "a"', "unknown key actve"),
        ('[key.a]\nkind = "aes"\nfile = "f"', 'active = "NAME" must name'),
        ('active = "b"\n[key.a]\nkind = "aes"\nfile = "f"', 'active = "NAME" must name'),
        ('active = "a"\n[key.a]\nfile = "f"', "kind must be one of rsa, aes, kms"),
        ('active = "a"\n[key.a]\nkind = 1', "kind must be one of rsa, aes, kms"),
        ('active = "a"\n[key.a]\nkind = "aes"', "[key.a]: file is missing"),
        ('active = "a"\n[key.a]\nkind = "kms"', "[key.a]: key-id is missing"),
        ('active = "a"\n[key.a]\nkind = "aes"\nfile = 1', "file: must be a text"),
        ('active = "a"\n[key.a]\nkind = "aes"\nfile = "f"\nmatdsc = "x"', "did you mean matdesc?"),
        ('active = "a"\n[key.a]\nkind = "aes"\nfile = "f"\nmatdesc = "x"', "a table of texts"),
        ('active = "a"\n[key.a]\nkind = "rsa"\nfile = "f"\npadding = "x"', "padding: 'x' is not"),
        (
            'active = "a"\n[key.a]\nkind = "kms"\nkey-id = "x"\n'
            'context = { a = "b" }\ncontext-file = "c.json"',
            "takes context or context-file, not both",
        ),
        ('active = "é"\n[key."é"]\nkind = "aes"\nfile = "f"', "a name has 1 to 64"),
        ("[key]\na = 1", "must be a section of its own"),
        (
            f'active = "a"\n[key.a]\nkind = "aes"\nfile = "f"\nmatdesc = {{ a = "{"b" * 600}" }}',
            "512 are allowed",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    assert said in refusal(text)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for path, said in [
        (tmp_path / "none", "does not exist"),
        (tmp_path, "cannot be read"),
        (tmp_path / "binary", "not UTF-8"),
    ]:
        with pytest.raises(KeyProblem, match=said):
            keyring_file.read(path)


CONTEXT = 'context = { x-passphrase = "open sesame" }'


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_keyring_with_a_context_in_it_must_be_its_owner_s_alone(
    tmp_path: Path, mode: int
) -> None:
    path = write_private(tmp_path / "keys.toml", FULL)
    assert keyring_file.read(path).holds_context
    path.chmod(mode)
    reads: list[Callable[[], object]] = [
        lambda: keyring_file.read(path),
        lambda: keyring_editing.remove(path, "old"),
    ]
    for read in reads:
        with pytest.raises(KeyProblem, match=f"holds a context and is open .*`chmod 600 {path}`"):
            read()
    path.write_text(FULL.replace(CONTEXT, 'context-file = "context.json"'))
    ring = keyring_file.read(path)
    assert not ring.holds_context
    assert isinstance(ring.entries[2], KmsEntry)
    assert ring.entries[2].context_file == tmp_path / "context.json"


def test_a_context_is_not_added_to_a_keyring_that_is_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    keyring_editing.add(path, AesEntry(name="a", file=Path("/a.key")), active=True)
    path.chmod(0o644)
    before = path.read_bytes()
    entry = KmsEntry(name="cloud", key_id="x", context={"x-passphrase": "open sesame"})
    with pytest.raises(KeyProblem, match="chmod 600"):
        keyring_editing.add(path, entry, active=False)
    assert path.read_bytes() == before
    path.chmod(0o600)
    keyring_editing.add(path, entry, active=False)
    assert keyring_file.read(path).named("cloud") == entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A keyring of four kinds of keys, and the keys."""
    write_private(tmp_path / "whole.pem", private_pem(rsa_key()))
    (tmp_path / "public.pem").write_bytes(public_pem(rsa_key(1)))
    write_private(tmp_path / "raw.key", bytes(32))
    (tmp_path / "keys.toml").write_text(
        """active = "b"
[key.a]
kind = "rsa"
file = "whole.pem"
[key.b]
kind = "rsa"
file = "public.pem"
matdesc = { k = "b" }
[key.c]
kind = "aes"
file = "raw.key"
[key.d]
kind = "kms"
key-id = "x"
"""
    )
    return tmp_path


def masters(folder: Path, **given: Any) -> list[tuple[str, str]]:
    loaded = load_masters(Keys(keyring=folder / "keys.toml", **given), kms=fake_kms)
    return [(key.name, key.wrap_alg) for key in loaded]


def test_the_active_key_wraps_and_all_of_them_open(folder: Path) -> None:
    pkcs1, aes = "RSA/NONE/PKCS1Padding", "AES/KeyWrap/RFC3394"
    assert masters(folder) == [("b", pkcs1), ("a", pkcs1), ("c", aes), ("d", "single")]
    assert masters(folder, encrypt="rsa") == masters(folder, encrypt="none") == masters(folder)
    assert masters(folder, dialect="deprecated")[:2] == [("b", "rsa"), ("a", "rsa")]
    with pytest.raises(KeyProblem, match="the active key b is rsa, not aes"):
        masters(folder, encrypt="aes")


def test_the_deprecated_form_takes_any_kind_that_it_had(folder: Path) -> None:
    file = folder / "keys.toml"
    for active, alg in [("a", "rsa"), ("d", "deprecated")]:
        file.write_text(file.read_text().replace(file.read_text()[:12], f'active = "{active}"', 1))
        assert masters(folder, dialect="deprecated")[0] == (active, alg)
    file.write_text(file.read_text().replace('active = "d"', 'active = "c"'))
    with pytest.raises(KeyProblem, match="symmetric"):
        masters(folder, dialect="deprecated")


def test_a_key_that_cannot_be_loaded_stops_the_mount(folder: Path) -> None:
    (folder / "raw.key").chmod(0o644)
    with pytest.raises(KeyProblem, match="chmod 600"):
        masters(folder)


async def test_a_trial_says_what_each_key_can_do(folder: Path) -> None:
    (folder / "raw.key").unlink()
    ring = keyring_file.read(folder / "keys.toml")
    trials = [await try_key(entry, kms=fake_kms) for entry in ring.entries]
    assert [(trial.name, trial.works) for trial in trials] == [
        *(("a", True), ("b", True), ("c", False), ("d", True))
    ]
    assert "public key" in trials[1].said
    assert "does not exist" in trials[2].said


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: len(json.dumps(text)) < 200
)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=2)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
ENTRIES = st.one_of(
    st.builds(RsaEntry, name=NAMES, file=st.just(Path('/a "b"\\ü.pem')), matdesc=MAPS),
    st.builds(AesEntry, name=NAMES, file=st.just(Path("/a.key")), matdesc=MAPS),
    st.builds(
        KmsEntry,
        name=NAMES,
        key_id=TEXTS,
        context=MAPS,
        coding=st.sampled_from(["single", "double"]),
    ),
    st.builds(KmsEntry, name=NAMES, key_id=TEXTS, context_file=st.just(Path("/context.json"))),
)


@given(st.lists(ENTRIES, min_size=2, max_size=4, unique_by=lambda entry: entry.name), st.data())
def test_what_is_added_is_read_and_what_is_removed_is_gone(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("ring") / "keys.toml"
    active = entries[0].name
    for entry in entries:
        makes_active = data.draw(st.booleans())
        keyring_editing.add(path, entry, active=makes_active)
        active = entry.name if makes_active else active
    ring = keyring_file.read(path)
    assert (ring.active, list(ring.entries)) == (active, entries)
    active = data.draw(st.sampled_from(entries)).name
    keyring_editing.use(path, active)
    ring = keyring_file.read(path)
    assert (ring.active, list(ring.entries)) == (active, entries)
    gone = data.draw(st.sampled_from([entry for entry in entries if entry.name != active]))
    keyring_editing.remove(path, gone.name)
    left = [entry for entry in entries if entry != gone]
    assert list(keyring_file.read(path).entries) == left


def test_an_edit_leaves_the_rest_of_the_text_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    before = FULL.replace(CONTEXT, 'context-file = "context.json"')
    before = before.replace("[key.new]", "# the second\n  # of them\n[key.new]")
    path.write_text(before)
    path.chmod(0o640)
    keyring_editing.add(path, AesEntry(name="extra", file=Path("/e.key")), active=True)
    changed = path.read_text()
    kept = before.replace('active = "new"', 'active = "extra"').rstrip()
    assert changed.startswith(kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    keyring_editing.remove(path, "old")
    assert "# of the whole team" in path.read_text()
    assert "[key.old]" not in path.read_text()
    assert "# the second\n  # of them\n[key.new]" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["keys.toml"]


def test_a_new_keyring_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    keyring_editing.add(path, AesEntry(name="first", file=Path("/e.key")), active=False)
    assert keyring_file.read(path).active == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_keyring_that_root_edits_stays_its_owner_s(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    keyring_editing.add(path, _named("first"), active=False)
    os.chown(path, 1000, 1001)
    keyring_editing.add(path, _named("second"), active=True)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1000, 1001, 0o600)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ('active = "a"', 'active = "b"'),
        ("\tactive='a' # until May", '\tactive="b" # until May'),
    ],
)
def test_another_key_becomes_the_active_one_and_nothing_else_changes(
    tmp_path: Path, line: str, changed: str
) -> None:
    path = tmp_path / "keys.toml"
    keys = "\n\n".join(f'[key.{name}]\nkind = "aes"\nfile = "{name}" # {name}' for name in "ab")
    path.write_text(f"# ours\n{line}\n{keys}")
    keyring_editing.use(path, "b")
    assert path.read_text() == f"# ours\n{changed}\n{keys}"
    keyring_editing.use(path, "b")
    assert path.read_text() == f"# ours\n{changed}\n{keys}"


def test_a_link_to_a_keyring_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "team.toml", tmp_path / "keys.toml"
    link.symlink_to("real/team.toml")
    for name in ("first", "second", "third"):
        keyring_editing.add(link, AesEntry(name=name, file=Path("/e.key")), active=False)
    keyring_editing.remove(link, "second")
    assert link.is_symlink()
    assert [entry.name for entry in keyring_file.read(real).entries] == ["first", "third"]
    assert sorted(tmp_path.rglob("*")) == [link, tmp_path / "real", real]


def test_keys_that_are_added_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    names = [f"key-{number}" for number in range(24)]

    def add_some(mine: list[str]) -> None:
        for name in mine:
            keyring_editing.add(path, AesEntry(name=name, file=Path("/e.key")), active=False)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(add_some, names[number::6]) for number in range(6)]:
            done.result()
    assert sorted(entry.name for entry in keyring_file.read(path).entries) == sorted(names)
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_a_dead_process_left_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / ".keys.toml.lock").touch()
    path = tmp_path / "keys.toml"
    keyring_editing.add(path, AesEntry(name="a", file=Path("/e.key")), active=False)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_edited_safely_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    inline = (
        'active = "a"\nkey.a = { kind = "aes", file = "f" }\nkey.b = { kind = "aes", file = "f" }\n'
    )
    path.write_text(inline)
    entry = AesEntry(name="a", file=Path("/e.key"))
    edits: list[tuple[Callable[[], None], str]] = [
        (lambda: keyring_editing.remove(path, "b"), "edit it by hand"),
        (lambda: keyring_editing.remove(path, "a"), "is the active key"),
        (lambda: keyring_editing.remove(path, "x"), "there is no key x"),
        (lambda: keyring_editing.use(path, "x"), "there is no key x"),
        (lambda: keyring_editing.use(tmp_path / "none", "x"), "does not exist"),
        (lambda: keyring_editing.add(path, entry, active=False), "there is a key a already"),
        (lambda: keyring_editing.add(tmp_path / "new", _named("a b"), active=False), "a name has"),
        (lambda: keyring_editing.add(tmp_path / "no" / "new", entry, active=False), "be written"),
    ]
    for edit, said in edits:
        with pytest.raises(KeyProblem, match=said):
            edit()
    assert path.read_text() == inline


def _named(name: str) -> Entry:
    return AesEntry(name=name, file=Path("/e.key"))
