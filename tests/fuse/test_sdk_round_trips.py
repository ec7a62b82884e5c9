"""What the mount writes the official SDKs read, and the mount reads what they wrote."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.fuse.sdks import PART, Sdk, all_sdks

pytestmark = pytest.mark.fuse

MIB = 1 << 20
SIZES = {
    "empty": 0,
    "one byte": 1,
    "1 MiB + 3": MIB + 3,
    "multipart": 5 * MIB + 17,
    "sidecar": 33 * MIB + 5,
}
UNALIGNED = [(1, 1), (15, 17), (65_535, 65_537), (100_003, 700_001), (MIB - 1, MIB + 2)]
NO_TTL = ("--attr-ttl=0", "--negative-ttl=0")
NAMES = ["oss2 RsaProvider", "oss2 LocalRsaProvider", "alibabacloud_oss_v2"]


@pytest.fixture(scope="module")
def bucket(oss: Oss) -> Bucket:
    return oss.new_bucket()


@pytest.fixture(scope="module", params=NAMES)
def sdk(
    request: pytest.FixtureRequest,
    bucket: Bucket,
    place: Place,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sdk:
    private, public = place.key.read_text(), place.public_key.read_text()
    made = all_sdks(bucket, private, public, tmp_path_factory.mktemp("keys"))
    return next(one for one in made if one.name == request.param)


@pytest.fixture(scope="module")
def mounts(place: Place, bucket: Bucket) -> Iterator[dict[str, Mount]]:
    """Padding to a mount that wraps so.

    Parts are small, so that much is more than one part; names are never older than the question.
    """
    made = {
        padding: Mount(place, bucket, f"--rsa-padding={padding}", "--part-size=1MiB", *NO_TTL)
        for padding in ("pkcs1", "oaep-sha1")
    }
    try:
        for one in made.values():
            one.start()
        yield made
        for one in made.values():
            one.end()
    finally:
        for one in made.values():
            one.clean_up()


def content_of(size: int) -> bytes:
    return os.urandom(size)


@pytest.mark.parametrize("kind", SIZES)
def test_the_sdk_reads_what_the_mount_wrote(
    mounts: dict[str, Mount], sdk: Sdk, bucket: Bucket, kind: str
) -> None:
    content, key = content_of(SIZES[kind]), f"{sdk.padding} {kind}"
    requests = bucket.watch()
    (mounts[sdk.padding].path / key).write_bytes(content)
    parts = 0 if len(content) < 2 * MIB else -(-len(content) // MIB)
    assert requests.count("UploadPart", key) == parts
    sidecar = "x-oss-meta-ossfs-sidecar" in bucket.headers(key)
    assert sidecar is (kind == "sidecar")
    assert bucket.stored(key) != content or not content
    assert sdk.get(key, None, None) == content
    for first, last in UNALIGNED:
        if last < len(content):
            assert sdk.get(key, first, last) == content[first : last + 1]


@pytest.mark.parametrize("size", [0, 1, MIB + 3, 33 * MIB + 5])
def test_the_mount_reads_what_the_sdk_wrote(mounts: dict[str, Mount], sdk: Sdk, size: int) -> None:
    content, key = content_of(size), f"by {sdk.name} {size}"
    sdk.put(key, content)
    path = mounts[sdk.padding].path / key
    check(path, content)


def test_the_mount_reads_what_the_sdk_wrote_in_parts(mounts: dict[str, Mount], sdk: Sdk) -> None:
    content, key = content_of(5 * PART + 12_345), f"in parts by {sdk.name}"
    sdk.put_in_parts(key, content)
    # Either padding is understood by either mount.
    for one in mounts.values():
        check(one.path / key, content)


def check(path: Path, content: bytes) -> None:
    """The file reads whole and in ranges that no chunk or block begins with."""
    assert path.stat().st_size == len(content)
    with path.open("rb", buffering=0) as file:
        for first, last in UNALIGNED:
            if last < len(content):
                assert os.pread(file.fileno(), last - first + 1, first) == content[first : last + 1]
    assert path.read_bytes() == content
    assert os.getxattr(path, "user.ossfs.integrity") == b"none"
    assert os.getxattr(path, "user.ossfs.encryption") == b"client"


def test_what_the_mount_changes_in_an_sdk_s_object_becomes_its_own(
    mounts: dict[str, Mount], sdk: Sdk
) -> None:
    content, key = content_of(300_000), f"changed {sdk.name}"
    sdk.put(key, content)
    path = mounts[sdk.padding].path / key
    with path.open("r+b") as file:
        file.seek(100_001)
        file.write(b"changed")
    assert os.getxattr(path, "user.ossfs.integrity") == b"tagged"
    assert sdk.get(key, None, None) == content[:100_001] + b"changed" + content[100_008:]


def test_appending_to_an_sdk_s_object_keeps_what_it_wrote(
    mounts: dict[str, Mount], sdk: Sdk
) -> None:
    content, key = content_of(70_001), f"appended {sdk.name}"
    sdk.put(key, content)
    sh('printf more >>"$1"', mounts[sdk.padding].path / key)
    assert sdk.get(key, None, None) == content + b"more"


def test_an_object_without_an_envelope_is_read_under_prefer_and_refused_under_require(
    place: Place, bucket: Bucket, mounts: dict[str, Mount], mount: MakeMount, tmp_path: Path
) -> None:
    bucket.put("plain", b"for everyone")
    sdk = all_sdks(bucket, place.key.read_text(), place.public_key.read_text(), tmp_path)[0]
    sdk.put("foreign", b"by an SDK")
    path = mounts["pkcs1"].path
    assert (path / "plain").read_bytes() == b"for everyone"
    assert os.getxattr(path / "plain", "user.ossfs.encryption") == b"none"
    assert os.getxattr(path / "plain", "user.ossfs.integrity") == b"none"
    (path / "own").write_bytes(b"ours")

    strict = mount(bucket, "--integrity=require", *NO_TTL).path
    for name in ("plain", "foreign"):
        with pytest.raises(OSError, match="Input/output") as refused:
            (strict / name).read_bytes()
        assert refused.value.errno == errno.EIO
    assert (strict / "own").read_bytes() == b"ours"
    # What replaces them is authenticated.
    (strict / "plain").write_bytes(b"ours now")
    assert (strict / "plain").read_bytes() == b"ours now"
    assert os.getxattr(strict / "plain", "user.ossfs.integrity") == b"tagged"
