import logging
import os
from pathlib import Path

import pytest

from ossfs.errors import BucketError
from ossfs.store.credentials import Credentials, EnvironmentCredentials, FileCredentials

_OSS = {
    "OSS_ACCESS_KEY_ID": "oss-id",
    "OSS_ACCESS_KEY_SECRET": "oss-secret",
    "OSS_SESSION_TOKEN": "oss-token",
}
_CLOUD = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "cloud-id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "cloud-secret",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "cloud-token",
}


def _file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "credentials"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_secrets_do_not_show() -> None:
    shown = repr(Credentials(access_key_id="id", access_key_secret="hush", token="also hush"))
    assert "hush" not in shown


async def test_the_variables_of_oss_win_over_those_of_the_cloud() -> None:
    oss = Credentials(access_key_id="oss-id", access_key_secret="oss-secret", token="oss-token")
    assert await EnvironmentCredentials(_OSS | _CLOUD).get() == oss
    cloud = await EnvironmentCredentials(_CLOUD).get()
    assert (cloud.access_key_id, cloud.token) == ("cloud-id", "cloud-token")


async def test_a_token_of_one_set_never_goes_with_the_key_of_the_other() -> None:
    lasting = {name: value for name, value in _OSS.items() if name != "OSS_SESSION_TOKEN"}
    assert (await EnvironmentCredentials(lasting | _CLOUD).get()).token is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "OSS_ACCESS_KEY_ID"),
        ({"OSS_ACCESS_KEY_ID": "id"} | _CLOUD, "OSS_ACCESS_KEY_SECRET is not"),
        ({"OSS_ACCESS_KEY_SECRET": "hush"}, "OSS_ACCESS_KEY_ID is not"),
        ({"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "hush\n"}, "characters"),
        ({"OSS_ACCESS_KEY_ID": "i/d", "OSS_ACCESS_KEY_SECRET": "hush"}, "characters"),
    ],
)
def test_an_environment_without_a_whole_key_is_refused(
    environment: dict[str, str], named: str
) -> None:
    with pytest.raises(BucketError, match=named) as refused:
        EnvironmentCredentials(environment)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "[default]\naccess-key-id = id\naccess-key-secret = s=%(x)s\nsts-token = token\n",
        "[Credentials]\nlanguage=EN\naccessKeyID=id\naccessKeySecret=s=%(x)s\nstsToken=token\n",
        "# note\n[default]\nACCESS_KEY_ID=id\nAccess-Key-Secret=s=%(x)s\nSTS_TOKEN=token\n",
    ],
)
async def test_files_of_both_versions_of_ossutil_are_read(tmp_path: Path, text: str) -> None:
    credentials = await FileCredentials(_file(tmp_path, text)).get()
    assert (credentials.access_key_id, credentials.token) == ("id", "token")
    assert credentials.access_key_secret == "s=%(x)s"


async def test_a_profile_has_its_own_section(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "[default]\naccess-key-id=a\naccess-key-secret=b\n"
        "[profile other]\naccess-key-id=c\naccess-key-secret=d\n",
    )
    assert (await FileCredentials(path, "other").get()).access_key_id == "c"
    assert (await FileCredentials(path).get()).access_key_id == "a"
    with pytest.raises(BucketError, match="'third'"):
        FileCredentials(path, "third")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path, "[default]\naccess-key-id=a\naccess-key-secret=b\n", mode)
    with pytest.raises(BucketError, match="chmod 600"):
        FileCredentials(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hush", "not an INI file"),
        ("[default]\nhush", "not an INI file"),
        ("[default]\naccess-key-secret=hush\n", "access-key-id is missing"),
        ("[default]\naccess-key-id=hush\n", "access-key-secret is missing"),
        ("[other]\naccess-key-secret=hush\n", "no section"),
        ("", "no section"),
        ("[default]\naccess-key-id=a\naccess-key-secret=hu\x00sh\n", "characters"),
    ],
)
def test_a_file_without_a_key_is_refused_in_one_line_without_its_content(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(BucketError, match=named) as refused:
        FileCredentials(_file(tmp_path, text))
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BucketError, match="No such file"):
        FileCredentials(tmp_path / "absent")


async def test_a_renewed_token_is_used_at_once(tmp_path: Path) -> None:
    text = "[default]\naccess-key-id=a\naccess-key-secret=b\nsts-token={}\n"
    path = _file(tmp_path, text.format("old"))
    provider = FileCredentials(path)
    assert (await provider.get()).token == "old"
    fresh = tmp_path / "fresh"
    fresh.write_text(text.format("new"))
    fresh.chmod(0o600)
    os.replace(fresh, path)
    assert (await provider.get()).token == "new"


async def test_a_file_that_is_unusable_for_a_moment_leaves_the_last_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _file(tmp_path, "[default]\naccess-key-id=a\naccess-key-secret=b\n")
    provider = FileCredentials(path)
    path.write_text("hush")
    with caplog.at_level(logging.WARNING):
        assert (await provider.get()).access_key_id == "a"
    path.unlink()
    assert (await provider.get()).access_key_id == "a"
    assert "last access key stays" in caplog.text
    assert "hush" not in caplog.text
