"""Objects that are wrong: each costs an errno for the call that meets it, and the mount lives."""

import base64
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest

from tests.fuse.conftest import MakeMount
from tests.fuse.mounting import Mount, Place
from tests.fuse.oss import Bucket, Oss
from tests.fuse.programs import sh
from tests.keys.fakes import private_pem, rsa_key, write_private

pytestmark = pytest.mark.fuse

CONTENT = bytes(range(256)) * 800
"""Some chunks."""


@pytest.fixture(scope="module")
def one(place: Place, oss: Oss) -> Iterator[Mount]:
    """A mount that believes nothing for long, among whose objects the tests work."""
    made = Mount(place, oss.new_bucket(), "--attr-ttl=0", "--negative-ttl=0", "--log-names")
    try:
        yield made.start()
        made.end()
    finally:
        made.clean_up()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).replace("/", "-")[:120]


def errno_of(path: Path) -> int:
    """What reading the whole file gives, 0 if it succeeds."""
    try:
        path.read_bytes()
    except OSError as error:
        return error.errno or -1
    return 0


CSE = "client_side_encryption_"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({CSE + "key": "nonsense!"}, errno.EIO),
        ({CSE + "key": ""}, errno.EIO),
        ({CSE + "key": "AAAA"}, errno.EIO),
        ({CSE + "key": "A" * 344}, errno.EIO),
        ({CSE + "key": base64.b64encode(os.urandom(256)).decode()}, errno.EIO),
        ({CSE + "key": None}, errno.EIO),
        ({CSE + "start": "nonsense!"}, errno.EIO),
        ({CSE + "start": None}, errno.EIO),
        ({CSE + "cek_alg": "AES/GCM/NoPadding"}, errno.ENOTSUP),
        ({CSE + "cek_alg": None}, errno.EIO),
        ({CSE + "wrap_alg": "KMS/ALICLOUD"}, errno.ENOKEY),
        ({CSE + "wrap_alg": "RSA/NONE/OAEPWithSHA-1AndMGF1Padding"}, errno.EIO),
        ({CSE + "wrap_alg": None}, errno.EIO),
        ({CSE + "matdesc": "no JSON"}, errno.EIO),
        ({CSE + "matdesc": '{"a": 1}'}, errno.EIO),
        ({CSE + "unencrypted_content_length": "-1"}, errno.EIO),
        ({"ossfs_format": "2"}, errno.ENOTSUP),
        ({"ossfs_format": "x"}, errno.EIO),
        ({"ossfs_format": None}, errno.EIO),
        ({"ossfs_chunk": "65537"}, errno.EIO),
        ({"ossfs_chunk": "131072"}, errno.EIO),
        ({"ossfs_chunk": None}, errno.EIO),
        ({"ossfs_tags": base64.b64encode(bytes(64)).decode()}, errno.EIO),
        ({"ossfs_tags": None}, errno.EIO),
        ({"ossfs_tagsum": base64.b64encode(bytes(32)).decode()}, errno.EIO),
        ({"ossfs_head": base64.b64encode(bytes(32)).decode()}, errno.EIO),
        ({"ossfs_head": ""}, errno.EIO),
    ],
)
def test_a_changed_envelope_costs_an_errno(
    one: Mount, name: str, changes: dict[str, Any], expected: int
) -> None:
    (one.path / name).write_bytes(CONTENT)
    assert errno_of(one.path / name) == 0
    one.bucket.tamper(name, **changes)
    assert errno_of(one.path / name) == expected
    # It is listed, can be looked at, replaced and removed.
    assert (one.path / name).stat().st_size == len(CONTENT)
    assert name in os.listdir(one.path)
    os.listxattr(one.path / name)
    (one.path / name).write_bytes(b"new")
    assert (one.path / name).read_bytes() == b"new"
    (one.path / name).unlink()


def test_all_our_headers_stripped_is_noticed(one: Mount, name: str) -> None:
    (one.path / name).write_bytes(CONTENT)
    names = ("format", "chunk", "tags", "tagsum", "head")
    one.bucket.tamper(name, **{f"ossfs_{n}": None for n in names})
    assert errno_of(one.path / name) == errno.EIO
    # Without any envelope it is an object like any other: bytes that nobody vouches for.
    every = {CSE + n: None for n in ("key", "start", "cek_alg", "wrap_alg")}
    one.bucket.tamper(name, **every, **{CSE + "unencrypted_content_length": None})
    assert (one.path / name).read_bytes() == one.bucket.stored(name)
    assert os.getxattr(one.path / name, "user.ossfs.encryption") == b"none"


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "99999999"},
        {"mode": "-1"},
        {"mode": "0x1ff"},
        {"mode": "16877"},  # a directory's
        {"mode": "8630"},  # a device's
        {"uid": "4294967295", "gid": "-5"},
        {"uid": "root"},
        {"mtime": "1e400", "atime": "", "ctime": "nan"},
        {"mtime": "99999999999999999999.0"},
        {"mtime": "-1.5"},
        {"xattr": "%ff%fe"},
        {"xattr": "{}}"},
        {"xattr": "%7B%22user.a%22%3A%20%22not%20base64%22%7D"},
        {"xattr": "%5B1%2C2%5D"},
    ],
)
def test_attributes_out_of_range_become_defaults(
    one: Mount, name: str, changes: dict[str, str]
) -> None:
    one.bucket.put(name, b"content", {f"x-oss-meta-{k}": v for k, v in changes.items()})
    facts = (one.path / name).stat()
    assert stat.S_ISREG(facts.st_mode)
    assert facts.st_uid < 2**32 - 1
    assert facts.st_gid < 2**32 - 1
    assert (one.path / name).read_bytes() == b"content"
    assert sh('ls -l "$1" | wc -l', one.path / name) == "1\n"
    (one.path / name).chmod(0o640)
    assert stat.S_IMODE((one.path / name).stat().st_mode) == 0o640


def test_hostile_tags_are_ignored(one: Mount, name: str) -> None:
    (one.path / name).write_bytes(CONTENT)
    (one.path / name).chmod(0o600)
    sh('sync "$1"', one.path / name)
    good = one.bucket.tags(name)["ossfs.attr"]
    for value in ("", "1:2", good.replace("1:", "9:", 1), good[:-1] + "x", ":" * 8):
        rule = oss2.models.TaggingRule()
        rule.add("ossfs.attr", value)
        rule.add("ossfs.xattr", "nonsense")
        one.bucket.client.put_object_tagging(name, oss2.models.Tagging(rule))
        assert stat.S_IMODE((one.path / name).stat().st_mode) == 0o644
        assert (one.path / name).read_bytes() == CONTENT


def test_keys_that_are_no_paths_are_hidden(bucket: Bucket, mount: MakeMount) -> None:
    for key in (
        "good",
        "a//b",
        "a/./b",
        "a/../b",
        "./c",
        "../d",
        "x" * 256,
        "dir/" + "y" * 300 + "/z",
        ".ossfs/journal/x",
    ):
        bucket.put(key, b"x")
    one = mount(bucket)
    assert sorted(os.listdir(one.path)) == ["a", "dir", "good"]
    assert os.listdir(one.path / "a") == []
    assert os.listdir(one.path / "dir") == []
    # What hides something is not empty.
    with pytest.raises(OSError, match="not empty"):
        (one.path / "a").rmdir()
    assert sh('find "$1" | wc -l', one.path) == "4\n"
    assert (one.path / "good").read_bytes() == b"x"


def test_where_a_file_and_a_directory_have_one_name_the_directory_wins(
    bucket: Bucket, mount: MakeMount
) -> None:
    bucket.put("both", b"file")
    bucket.put("both/inside", b"x")
    one = mount(bucket, "--log-names")
    assert (one.path / "both").is_dir()
    assert os.listdir(one.path) == ["both"]
    assert (one.path / "both" / "inside").read_bytes() == b"x"
    assert "'both' is a file and a directory" in one.log


def test_a_damaged_chunk_is_an_error_and_its_neighbours_are_read(
    oss: Oss, one: Mount, name: str
) -> None:
    content = os.urandom(400_000)
    (one.path / name).write_bytes(content)
    oss.service.add_fault(f"op=GetObject,key={name.replace('[', '[[]')},corrupt=200000")
    try:
        with (one.path / name).open("rb", buffering=0) as file:
            # What was written lies in the kernel's memory still.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with pytest.raises(OSError, match="Input/output") as refused:
                os.pread(file.fileno(), 10, 200_000)
            assert refused.value.errno == errno.EIO
            assert os.pread(file.fileno(), 10, 390_000) == content[390_000:390_010]
    finally:
        oss.service.clear_faults()
    assert (one.path / name).read_bytes() == content


def test_an_answer_that_is_cut_short_is_asked_for_again(oss: Oss, one: Mount, name: str) -> None:
    (one.path / name).write_bytes(CONTENT)
    oss.service.add_fault(f"op=GetObject,key={name},truncate=1000,times=1")
    with (one.path / name).open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert file.read() == CONTENT
    oss.service.clear_faults()


def test_a_lost_sidecar_costs_the_reads_and_nothing_else(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    (one.path / "f").write_bytes(bytes(33 << 20))
    sidecar = bucket.keys_below(".ossfs/tags/")
    assert len(sidecar) == 1
    one.again()
    bucket.delete(sidecar[0])
    assert errno_of(one.path / "f") == errno.EIO
    assert (one.path / "f").stat().st_size == 33 << 20
    (one.path / "f").write_bytes(b"new")
    assert (one.path / "f").read_bytes() == b"new"


def test_files_of_another_key_are_refused_and_can_be_replaced(
    place: Place, bucket: Bucket, mount: MakeMount, tmp_path: Path
) -> None:
    other = write_private(tmp_path / "other.pem", private_pem(rsa_key(1)))
    one = mount(bucket)
    (one.path / "f").write_bytes(CONTENT)
    (one.path / "link").symlink_to("f")
    two = mount(bucket, key=other)
    assert errno_of(two.path / "f") == errno.EIO  # nothing public says that the key is another
    with pytest.raises(OSError, match="Input/output"):
        os.readlink(two.path / "link")
    assert (two.path / "f").stat().st_size == len(CONTENT)
    with pytest.raises(OSError, match="Input/output"):
        (two.path / "f").open("ab")
    (two.path / "f").write_bytes(b"mine now")
    assert errno_of(one.path / "f") == errno.EIO
    # Both keys: everything opens, the first one wraps.
    three = mount(bucket, f"--rsa-key={place.key}", f"--rsa-key={other}")
    assert (three.path / "f").read_bytes() == b"mine now"
    assert os.readlink(three.path / "link") == "f"
    (three.path / "f").write_bytes(b"shared")
    assert (one.path / "f").read_bytes() == b"shared"


def test_a_matdesc_that_differs_is_enokey(place: Place, bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket, '--matdesc={"team": "a"}')
    (one.path / "f").write_bytes(CONTENT)
    assert os.getxattr(one.path / "f", "user.ossfs.master-key") == b"key.pem"
    two = mount(bucket, '--matdesc={"team": "b"}')
    assert errno_of(two.path / "f") == errno.ENOKEY
    assert os.getxattr(two.path / "f", "user.ossfs.master-key") == b'{"team": "a"}'
    three = mount(bucket)
    assert (three.path / "f").read_bytes() == CONTENT


def test_integrity_off_reads_what_it_can(bucket: Bucket, mount: MakeMount) -> None:
    one = mount(bucket)
    (one.path / "f").write_bytes(CONTENT)
    bucket.tamper("f", ossfs_head=base64.b64encode(bytes(32)).decode())
    assert errno_of(one.path / "f") == errno.EIO
    two = mount(bucket, "--integrity=off")
    assert (two.path / "f").read_bytes() == CONTENT
    assert os.getxattr(two.path / "f", "user.ossfs.integrity") == b"off"


def test_encrypt_none_writes_plain_objects_and_reads_no_others(
    bucket: Bucket, mount: MakeMount
) -> None:
    one = mount(bucket)
    (one.path / "secret").write_bytes(CONTENT)
    two = mount(bucket, "--encrypt=none")
    (two.path / "plain").write_bytes(b"for everyone")
    assert bucket.stored("plain") == b"for everyone"
    assert os.getxattr(two.path / "plain", "user.ossfs.encryption") == b"none"
    assert errno_of(two.path / "secret") == errno.ENOKEY
    assert (one.path / "plain").read_bytes() == b"for everyone"
