"""Wrong command lines: one line on stderr that names the thing, and the documented exit code."""

from pathlib import Path

import pytest

from ossfs import __version__
from ossfs.cli import main
from ossfs.cli.dispatch import COMMANDS
from tests.keys.fakes import write_private


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the person who runs the tests gets in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("OSSFS_REGION", "OSSFS_ENDPOINT", "OSSFS_RSA_KEY"):
        monkeypatch.delenv(name, raising=False)


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ossfs: ")
    return code, lines[0].removeprefix("ossfs: ")


MOUNT = ("mount", "oss://photos", "{empty}", "--region", "cn-hangzhou", "--encrypt", "none")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "no command is given"),
        (("mont",), 2, "unknown command mont; did you mean mount?"),
        (("--colour",), 2, "unknown option --colour"),
        (("mount",), 2, "the following arguments are required: oss://BUCKET[/PREFIX], MOUNTPOINT"),
        (("mount", "oss://photos"), 2, "MOUNTPOINT"),
        (("oss://photos",), 2, "MOUNTPOINT"),
        (("mount", "photos", "{empty}"), 2, "photos: is not an address of the form oss://"),
        (("mount", "--enpoint", "x"), 2, "unknown option --enpoint; did you mean --endpoint?"),
        (("mount", "--endp", "x"), 2, "unknown option --endp; did you mean --endpoint?"),
        (("mount", "--cipher", "x"), 2, "unknown option --cipher"),
        (("mount", "--replace"), 2, "unknown option --replace"),
        (("mount", "--memory"), 2, "argument --memory: expected one argument"),
        ((*MOUNT, "extra"), 2, "unrecognized arguments: extra"),
        ((*MOUNT, "-o", "cipher=x"), 2, "unknown option cipher"),
        ((*MOUNT, "-o", "regon=x"), 2, "unknown option regon; did you mean region?"),
        ((*MOUNT, "-o", "remount"), 2, "unknown option remount"),
        ((*MOUNT, "--memory", "x"), 2, "--memory: 'x' is not a size"),
        ((*MOUNT, "--config", "{missing}"), 2, "--config: {missing} does not exist"),
        ((*MOUNT, "--config", "{empty}"), 2, "{empty}: cannot be read: Is a directory"),
        ((*MOUNT, "--config", "{binary}"), 2, "{binary}: cannot be read: is not UTF-8"),
        ((*MOUNT, "--log-file", "{file}/log"), 2, "--log-file: {file}/log cannot be written"),
        ((*MOUNT, "--state-dir", "{file}"), 2, "--state-dir: "),
        (("mount", "oss://photos", "{missing}", *MOUNT[3:]), 5, "{missing} does not exist"),
        (("mount", "oss://photos", "{file}", *MOUNT[3:]), 5, "{file} is not a directory"),
        (("mount", "oss://photos", "{full}", *MOUNT[3:]), 5, "{full} is not empty; --nonempty"),
        (("mount", "oss://photos", "/proc", *MOUNT[3:]), 5, "/proc is busy: proc is mounted"),
        (("mount", "oss://photos", "", *MOUNT[3:]), 5, "the mount point has no name"),
        (("umount",), 2, "MOUNTPOINT"),
        (("umount", "{empty}"), 5, "{empty} is not a mount"),
        (("umount", "{missing}"), 5, "{missing} is not a mount"),
        (("umount", "/proc"), 5, "/proc is a mount of type proc, not of ossfs"),
        (("umount", "{empty}", "--timeout", "x"), 2, "'x' is not a number of seconds"),
        (("keygen",), 2, "the following arguments are required: NAME"),
        (("keygen", "{missing}", "--bits", "1024"), 4, "1024 bits: 2048 to 4096"),
        (("keygen", "{missing}", "--bits", "x"), 2, "argument --bits: invalid int value: 'x'"),
        (("keygen", "{missing}/a/b"), 4, "{missing}/a/b.pem cannot be written"),
        (("keygen", "{missing}", "--passphrase-file", "{missing}"), 4, "{missing}: cannot read"),
        (("serve",), 2, "the following arguments are required: --root"),
        (("serve", "--root", "{missing}", "--port", "70000"), 2, "'70000' is not a port"),
        (("serve", "--root", "{missing}", "--buckets", "A"), 2, "'A' is not a bucket name"),
        (("serve", "--root", "{missing}", "--buckets", "abc/d"), 2, "'abc/d' is not a bucket name"),
        (("serve", "--root", "{missing}", "--tls-port", "1"), 2, "unknown option --tls-port"),
        (("serve", "--root", "{missing}", "--latency", "-1"), 2, "'-1' is not a number"),
        (("serve", "--root", "{missing}", "--bandwidth", "0"), 2, "--bandwidth: must be above 0"),
        (("serve", "--root", "{missing}", "--fault", "x=1"), 2, "x"),
        (("serve", "--root", "{file}"), 1, "cannot serve {file}"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    places = {name: tmp_path / name for name in ("missing", "file", "empty", "full", "binary")}
    places["file"].touch()
    places["binary"].write_bytes(b"\xff")
    places["empty"].mkdir()
    (places["full"] / "entry").mkdir(parents=True)
    paths = {name: str(path) for name, path in places.items()}
    got, line = outcome(capsys, *(word.format(**paths) for word in words))
    assert says.format(**paths) in line
    assert got == code


def test_a_wrong_configuration_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "none" / "ossfs"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("regon = 'x'")
    code, line = outcome(capsys, "mount", "oss://photos", str(tmp_path))
    assert code == 2
    assert line == f"{folder}/config.toml: unknown key regon; did you mean region?"


@pytest.mark.parametrize("section", ["", "[bucket.photos]\n", "[bucket.other]\n"])
def test_a_configuration_file_with_a_context_must_be_its_owner_s_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str
) -> None:
    context = f"""{section}kms-context = '{{"x-passphrase": "open sesame"}}'"""
    file = write_private(tmp_path / "config.toml", context)
    words = ("mount", "oss://photos", str(tmp_path), f"--config={file}")
    assert outcome(capsys, *words)[0] == 2  # no region is given
    file.chmod(0o644)
    code, line = outcome(capsys, *words)
    assert code == 4
    assert line.startswith(f"{file} holds kms-context and is open to others (mode 0644); `chmod")
    file.write_text("region = 'cn-hangzhou'\n")
    assert outcome(capsys, *words)[0] == 2  # no key is given


def test_version_and_help_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["--help"], *([name, "--help"] for name in COMMANDS)):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"ossfs {__version__}\n"


def test_help_of_mount_shows_options_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["mount", "--help"])
    out = capsys.readouterr().out
    for heading in ("where the bucket is:", "encryption:", "connection:", "the mount:", "log:"):
        assert f"\n{heading}\n" in out
