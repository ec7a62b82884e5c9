"""The embedded server as the surroundings of a command, and what another client puts there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import oss2
import pytest

from ossfs.devserver import RunningServer, ServerConfig

BUCKET = "photos"


@contextmanager
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server with one bucket, and an environment that leads there and nowhere else."""
    with RunningServer(ServerConfig(root=tmp_path / "oss"), buckets=[BUCKET]) as running:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        monkeypatch.setenv("OSS_ACCESS_KEY_ID", running.access_key_id)
        monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", running.access_key_secret)
        monkeypatch.setenv("OSSFS_ENDPOINT", running.endpoint)
        monkeypatch.setenv("OSSFS_REGION", running.region)
        yield running


def plain_client(server: RunningServer) -> oss2.Bucket:
    auth = oss2.AuthV4(server.access_key_id, server.access_key_secret)
    return oss2.Bucket(auth, server.endpoint, BUCKET, region=server.region, is_path_style=True)


def put(server: RunningServer, key: str, body: bytes, **headers: str) -> None:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    plain_client(server).put_object(key, body, headers=named)


ENVELOPE = {
    f"x_oss_meta_client_side_encryption_{name}": text
    for name, text in {
        "key": "AAAA",
        "start": "AAAA",
        "cek_alg": "AES/CTR/NoPadding",
        "wrap_alg": "RSA/NONE/PKCS1Padding",
    }.items()
}
"""An envelope that no key opens."""
