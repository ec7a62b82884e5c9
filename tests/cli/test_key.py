"""`ossfs key` does what it says, and prints no secret."""

from pathlib import Path

import pytest

from ossfs.cli import main
from ossfs.config.sections import Connection
from ossfs.devserver import RunningServer, ServerConfig
from ossfs.keys import keyring_file
from tests.keys.fakes import private_pem, public_pem, rsa_key, write_private

RAW = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_private(tmp_path / "team.pem", private_pem(rsa_key(), passphrase=b"open sesame"))
    write_private(tmp_path / "team.txt", "open sesame\n")
    (tmp_path / "team.pub.pem").write_bytes(public_pem(rsa_key()))
    write_private(tmp_path / "archive.key", RAW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSSFS_KEYRING", str(tmp_path / "keys.toml"))
    return tmp_path


def run(*words: str) -> int:
    return main(["key", *words])


def test_a_keyring_is_made_filled_listed_tried_and_emptied(
    capsys: pytest.CaptureFixture[str], keys: Path
) -> None:
    team = ("--rsa-key", "team.pem", "--key-passphrase-file", "team.txt")
    assert run("add", "team", *team, "--matdesc", '{"b": "2", "a": "1"}') == 0
    assert run("add", "archive", "--aes-key", "archive.key", "--active") == 0
    assert run("add", "writer", "--rsa-key", "team.pub.pem", "--rsa-padding", "oaep-sha1") == 0
    assert run("list") == 0
    listed = capsys.readouterr().out.splitlines()[-3:]
    assert listed[0].split(None, 3) == ["team", "rsa", f"{keys}/team.pem", '{"a": "1", "b": "2"}']
    assert listed[1].split() == ["*", "archive", "aes", f"{keys}/archive.key"]
    assert run("test") == 0
    assert run("test", "archive") == 0
    assert run("test", "--region", "cn-hangzhou", "archive") == 0
    assert run("remove", "team") == 0
    output = capsys.readouterr()
    assert output.out.count("archive: wraps and unwraps") == 3
    assert [entry.name for entry in keyring_file.read(keys / "keys.toml").entries] == [
        *("archive", "writer")
    ]
    for secret in (RAW, "open sesame", "PRIVATE"):
        assert secret not in output.out + output.err + (keys / "keys.toml").read_text()


def test_a_key_that_cannot_be_used_is_named_and_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], keys: Path
) -> None:
    assert run("add", "archive", "--aes-key", "archive.key") == 0
    assert run("add", "writer", "--rsa-key", "team.pub.pem") == 0
    (keys / "archive.key").write_text("short")
    assert run("test") == 4
    output = capsys.readouterr()
    assert "archive: " in output.out
    assert "neither 32 bytes nor 64 hex digits" in output.out
    assert "writer: wraps" in output.out
    assert output.err == "ossfs: 1 of 2 keys cannot be used\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "a"), 2, "takes one of --rsa-key"),
        (("add", "a", "--aes-key", "x", "--rsa-key", "y"), 2, "takes one of --rsa-key"),
        (("add", "--aes-key", "x"), 2, "takes one NAME"),
        (("list", "a"), 2, "takes no NAME"),
        (("frob",), 2, "invalid choice"),
        (("add", "a", "--aes-key", "archive.key", "--matdesc", "[]"), 2, "--matdesc: "),
        (("add", "a", "--aes-key", "none"), 4, "does not exist"),
        (("add", "a", "--rsa-key", "team.pem"), 4, "protected by a passphrase"),
        (("add", "a b", "--aes-key", "archive.key"), 4, "a name has"),
        (("add", "a", "--kms-key-id", ""), 4, "[key.a]: key-id is missing"),
        (("add", "a", "--kms-key-id", "x", "--kms-endpoint", "ftp://kms"), 2, "--kms-endpoint: "),
        (("use",), 2, "takes one NAME"),
        (("use", "a", "b"), 2, "takes one NAME"),
        (("use", "a"), 4, "does not exist"),
        (("list",), 4, "does not exist"),
        (("test", "a"), 4, "does not exist"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_documented_exit_code(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert run(*words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_kms_key_is_asked_where_its_entry_the_options_or_the_region_say(
    capsys: pytest.CaptureFixture[str], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunningServer(ServerConfig(root=keys / "server")) as server:
        monkeypatch.setenv("OSS_ACCESS_KEY_ID", server.access_key_id)
        monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", server.access_key_secret)
        for name in ("OSSFS_REGION", "OSSFS_KMS_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)
        assert run("add", "cloud", "--kms-key-id", "alias/ossfs-demo") == 0
        assert run("test") == 4
        assert "no region is given" in capsys.readouterr().out
        assert run("test", "--kms-endpoint", server.kms_endpoint) == 0
        assert run("add", "gone", "--kms-key-id", "x", "--kms-endpoint", server.kms_endpoint) == 0
        assert run("test", "gone") == 4
        monkeypatch.delenv("OSS_ACCESS_KEY_ID")
        assert run("test", "gone") == 4
    output = capsys.readouterr()
    assert "cloud: wraps and unwraps" in output.out
    assert server.access_key_secret not in output.out + output.err


def test_another_key_becomes_the_active_one_if_it_can_be_used(
    capsys: pytest.CaptureFixture[str], keys: Path
) -> None:
    assert run("add", "archive", "--aes-key", "archive.key") == 0
    assert run("add", "writer", "--rsa-key", "team.pub.pem") == 0
    assert run("use", "writer") == 0
    assert "writer encrypts new files" in capsys.readouterr().out
    assert run("list") == 0
    marks = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert marks == [["archive", "aes"], ["*", "writer"]]
    assert run("remove", "writer") == 4
    assert "`ossfs key use` another one first" in capsys.readouterr().err
    (keys / "archive.key").chmod(0o644)
    assert run("use", "archive") == 4
    assert "chmod 600" in capsys.readouterr().err
    assert keyring_file.read(keys / "keys.toml").active == "writer"


@pytest.mark.parametrize(
    "words",
    [
        ("a", "--aes-key", "\udcff.key"),
        ("\udcff", "--aes-key", "archive.key"),
        ("a", "--kms-key-id", "alias/\udcff"),
        ("a", "--kms-key-id", "x", "--kms-endpoint", "\udcff"),
        ("a", "--kms-key-id", "x", "--kms-context", '{"a": "\udcff"}'),
        ("a", "--kms-key-id", "x", "--matdesc", '{"\\ud800": "b"}'),
    ],
)
def test_what_is_not_utf_8_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], keys: Path, words: tuple[str, ...]
) -> None:
    (keys / "\udcff.key").write_bytes((keys / "archive.key").read_bytes())
    (keys / "\udcff.key").chmod(0o600)
    assert run("add", *words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (keys / "keys.toml").exists()


def test_a_kms_in_clear_on_another_machine_is_not_asked_unless_that_is_meant(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def try_keys(entries: object, *, kms_endpoint: str, connection: Connection) -> list[object]:
        asked.append((kms_endpoint, connection.allow_http))
        return []

    monkeypatch.setattr("ossfs.compose.clients.try_keys", try_keys)
    for name in ("OSSFS_REGION", "OSSFS_KMS_ENDPOINT", "OSSFS_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    assert run("add", "cloud", "--kms-key-id", "alias/a") == 0
    far = "http://kms.example.com"
    assert run("test", "--kms-endpoint", far) == 2
    monkeypatch.setenv("OSSFS_KMS_ENDPOINT", far)
    assert run("test") == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith(f"ossfs: --kms-endpoint: {far} is not encrypted; use https, or --al")
    assert asked == []
    assert run("test", "--allow-http") == 0
    monkeypatch.setenv("OSSFS_ALLOW_HTTP", "on")
    assert run("test") == 0
    assert asked == [(far, True)] * 2
    monkeypatch.setenv("OSSFS_ALLOW_HTTP", "maybe")
    assert run("test") == 2


def test_a_kms_in_clear_of_a_keyring_entry_is_not_asked_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSSFS_ALLOW_HTTP", raising=False)
    far = "http://kms.example.com"
    assert run("add", "cloud", "--kms-key-id", "alias/a", "--kms-endpoint", far) == 0
    assert run("test") == 4
    assert f"{far} is not encrypted" in capsys.readouterr().out


def test_a_context_file_is_named_in_the_keyring_and_its_content_is_not(
    capsys: pytest.CaptureFixture[str], keys: Path
) -> None:
    file = write_private(keys / "context.json", '{"x-passphrase": "open sesame"}')
    cloud = ("add", "cloud", "--kms-key-id", "alias/a", "--kms-context-file", "context.json")
    assert run(*cloud) == 0
    text = (keys / "keys.toml").read_text()
    assert f'context-file = "{file}"' in text
    assert "sesame" not in text
    file.chmod(0o644)
    assert run("add", "again", *cloud[2:]) == 4
    assert run("add", "again", *cloud[2:], "--kms-context", "{}") == 2
    errors = capsys.readouterr().err.splitlines()
    assert "chmod 600" in errors[0]
    assert "not allowed with" in errors[1]


def test_without_a_keyring_it_says_what_to_give(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSSFS_KEYRING")
    assert run("list") == 2
    assert "--keyring FILE" in capsys.readouterr().err
