"""Objects that no honest client stored cost one errno each, and nothing else."""

import errno
import stat

import pytest

from ossfs.errors import OssfsError
from ossfs.types import ObjectKey
from tests.vfs.world import CALLER, ROOT, Mount, World, refused

ENVELOPES: list[dict[str, str]] = [
    {
        "client-side-encryption-key": "!!!",
        "client-side-encryption-start": "AAAA",
        "client-side-encryption-cek-alg": "AES/CTR/NoPadding",
        "client-side-encryption-wrap-alg": "FAKE",
    },
    {
        "client-side-encryption-key": "AAAA",
        "client-side-encryption-start": "AAAA",
        "client-side-encryption-cek-alg": "ROT13",
        "client-side-encryption-wrap-alg": "FAKE",
    },
    {
        "client-side-encryption-key": "AAAA",
        "client-side-encryption-start": "AAAA",
        "client-side-encryption-cek-alg": "AES/CTR/NoPadding",
        "client-side-encryption-wrap-alg": "unheard of",
    },
    {
        "client-side-encryption-key": "AAAA",
        "client-side-encryption-start": "AAAA",
        "client-side-encryption-cek-alg": "AES/CTR/NoPadding",
        "client-side-encryption-wrap-alg": "FAKE",
        "client-side-encryption-matdesc": "[1, 2",
    },
]


@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_a_nonsense_envelope_can_be_seen_renamed_and_removed_but_not_read(
    mount: Mount, world: World, envelope: dict[str, str]
) -> None:
    await world.put("bad", b"x" * 100, metadata=envelope)
    await mount.write("good", b"fine")
    assert (await mount.stat("bad")).size == 100
    for _ in range(2):
        with pytest.raises(OssfsError):
            await mount.read("bad")
    assert await mount.names() == {"bad", "good"}
    async with mount.at("bad") as found:
        for name in await mount.fs.listxattr(found.ino):
            await mount.fs.getxattr(found.ino, name)
    assert await mount.read("good") == b"fine"
    await mount.rename("bad", "worse")
    await mount.truncate("worse", 0)
    assert await mount.read("worse") == b""
    await mount.unlink("worse")
    mount.check_invariants()


@pytest.mark.parametrize(
    "metadata",
    [
        {"mode": "99999999999999999999"},
        {"mode": "-1"},
        {"mode": "16877"},
        {"mode": "8630"},
        {"uid": "4294967295", "gid": "99999999999999"},
        {"mtime": "9" * 40, "atime": "nan", "ctime": "-"},
        {"xattr": "%7B%22a%22%3A"},
        {"xattr": "x" * 3000},
    ],
)
async def test_attributes_out_of_range_are_those_of_a_file_without_any(
    mount: Mount, world: World, metadata: dict[str, str]
) -> None:
    await world.put("f", b"hello", metadata=metadata)
    found = await mount.stat("f")
    assert stat.S_ISREG(found.mode)
    assert (found.mode & 0o777, found.uid, found.gid) == (0o644, 1000, 1000)
    assert abs(found.mtime_ns) < 1 << 63
    assert await mount.xattrs("f") == {}
    assert await mount.read("f") == b"hello"


@pytest.mark.parametrize("text", ["1:2", "x" * 200, "1:33188:0:0:0:0:0:notacrc", "2:1:1:1:1:1:1:1"])
async def test_nonsense_tags_are_ignored(mount: Mount, world: World, text: str) -> None:
    await world.put("f", b"hello")
    await world.store.put_tags(ObjectKey("f"), {"ossfs.attr": text})
    assert (await mount.stat("f")).mode & 0o777 == 0o644


async def test_keys_that_are_no_paths_are_hidden_and_harmless(mount: Mount, world: World) -> None:
    for key in ("d//x", "d/./x", "d/../x", "d/" + "y" * 256, "d/nul\0", ".ossfs/x", "d/.ossfs/x"):
        await world.put(key, b"x")
    await world.put("d/fine", b"x")
    assert await mount.names() == {"d"}
    assert await mount.names("d") == {"fine"}
    async with mount.at("d") as found:
        for name in (b".ossfs", b"nul\0", b"", b"\xff\xfe"):
            assert await mount.fs.lookup(found.ino, name) is None
        with refused(errno.ENAMETOOLONG):
            await mount.fs.lookup(found.ino, b"y" * 256)


async def test_names_that_no_key_can_have_are_refused_each_with_its_errno(mount: Mount) -> None:
    for name, number in {
        b"\xff": errno.EILSEQ,
        b"x" * 256: errno.ENAMETOOLONG,
        b".ossfs": errno.EPERM,
        b"..": errno.EINVAL,
        b"a/b": errno.EINVAL,
        b"\\x": errno.EINVAL,
    }.items():
        with refused(number):
            await mount.fs.mkdir(ROOT, name, 0o755, CALLER)
        with refused(number):
            await mount.fs.create(ROOT, name, 0o644, 1, CALLER)
        with refused(number):
            await mount.fs.symlink(ROOT, name, b"x", CALLER)
    assert mount.bucket.count("put") == 0


async def test_a_file_and_a_directory_of_one_name_are_a_directory(
    mount: Mount, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.put("a", b"file")
    await world.put("a/b", b"below")
    assert await mount.names() == {"a"}
    assert stat.S_ISDIR((await mount.stat("a")).mode)
    assert await mount.read("a/b") == b"below"
    with refused(errno.EISDIR):
        await mount.unlink("a")
    await mount.unlink("a/b")
    await mount.rmdir("a")
    other = world.mount()
    assert await other.read("a") == b"file"


async def test_a_link_whose_target_is_no_path_is_an_error(mount: Mount, world: World) -> None:
    link = {"mode": str(stat.S_IFLNK | 0o777)}
    await world.put("huge", b"x" * 100_000, metadata=link)
    mount.bucket.forget()
    with refused(errno.EIO):
        await mount.readlink("huge")
    assert mount.bucket.count("get") == 0


async def test_an_object_that_shrank_while_it_is_read_is_stale(mount: Mount, world: World) -> None:
    await mount.write("f", b"x" * (5 << 20))
    handle = await mount.open("f")
    await world.put("f", b"x")
    with refused(errno.ESTALE):
        await mount.fs.read(handle, 4 << 20, 100)
    await mount.close(handle)


async def test_ciphertext_that_was_changed_is_an_error_and_not_content(
    mount: Mount, world: World
) -> None:
    await mount.write("f", b"hello")
    info, body = await world.store.get(ObjectKey("f"))
    await world.put("f", bytes([body[0] ^ 1, *body[1:]]), metadata=info.metadata)
    other = world.mount()
    with refused(errno.EIO):
        await other.read("f")
    handle = await other.open("f", 1)
    with refused(errno.EIO):
        await other.fs.write(handle, 0, b"x")
    await other.close(handle)
    other.check_invariants()
