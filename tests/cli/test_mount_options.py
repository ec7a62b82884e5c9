"""What stands behind -o, and what mount(8) passes to its helpers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.cli.mount_helper import words_from_mount8
from ossfs.cli.mount_options import read_mount_options
from ossfs.errors import KeyProblem, UsageError
from tests.keys.fakes import write_private


def read(text: str) -> list[tuple[str, str]]:
    return list(read_mount_options(text))


def test_generic_options_of_fstab_ask_for_nothing() -> None:
    generic = (
        "rw,dev,suid,nodev,nosuid,_netdev,noauto,auto,user,users,user=me,nofail,defaults,noatime,"
        "relatime,x-systemd.automount,X-mount.mkdir,comment=hello,default_permissions"
    )
    assert read(generic) == []


def test_generic_options_with_a_name_of_ours_become_it() -> None:
    assert read("ro,noexec") == [("read-only", "on"), ("no-exec", "on")]
    assert read("noexec,exec") == [("no-exec", "on"), ("no-exec", "off")]


def test_underscores_are_dashes_in_names_and_stay_in_values() -> None:
    assert read("allow_other,log_file=/a_b") == [("allow-other", "on"), ("log-file", "/a_b")]


def test_an_option_without_value_is_on_and_with_an_empty_one_is_empty() -> None:
    assert read("read-only,log-file=") == [("read-only", "on"), ("log-file", "")]


def test_a_value_may_hold_equals_signs() -> None:
    assert read("endpoint=http://x?a=b") == [("endpoint", "http://x?a=b")]


@given(st.lists(st.text(st.characters(exclude_characters="\\"), min_size=1), min_size=1))
def test_any_value_survives_with_its_commas_escaped(values: list[str]) -> None:
    values = [f"v{value}" for value in values]
    text = ",".join("matdesc=" + value.replace(",", "\\,") for value in values)
    assert read(text) == [("matdesc", value) for value in values]


def test_a_value_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"a": "1,2"}\n')
    assert read(f"matdesc=@{tmp_path}/m") == [("matdesc", '{"a": "1,2"}')]


@pytest.mark.parametrize("name", ["kms-context", "kms_context"])
def test_a_file_with_a_secret_must_be_its_owner_s_alone(tmp_path: Path, name: str) -> None:
    file = write_private(tmp_path / "c", '{"x-passphrase": "open sesame"}\r\n')
    assert read(f"{name}=@{file}") == [("kms-context", '{"x-passphrase": "open sesame"}')]
    file.chmod(0o640)
    with pytest.raises(KeyProblem, match=f"holds kms-context and is open .*`chmod 600 {file}`"):
        read(f"{name}=@{file}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"-o matdesc: {tmp_path}/m cannot be read: No such file"):
        read(f"matdesc=@{tmp_path}/m")
    (tmp_path / "m").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not UTF-8"):
        read(f"matdesc=@{tmp_path}/m")


def test_the_words_of_mount8_become_those_of_the_command() -> None:
    words = ["oss://b/p", "/mnt", "-sv", "-n", "-N", "/ns", "-t", "fuse.ossfs", "-o", "rw,uid=1"]
    assert words_from_mount8(words) == ["oss://b/p", "/mnt", "-o", "rw,uid=1"]
