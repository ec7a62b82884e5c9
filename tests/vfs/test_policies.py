"""What new files get by where they are, by a table of paths and in a mount."""

import pytest

from ossfs.config.globs import parse_glob
from ossfs.store.base import ServerEncryption
from ossfs.transfer.protection import Protection
from ossfs.vfs.policy import NewFiles, Policy
from tests.vfs.test_server_side import AES256, NAMED
from tests.vfs.world import World

RULES = (
    "*.txt",
    "letters",
    "letters/**/*.txt",
    "/letters/open",
    "**/open",
    "photos/20??",
    "photos/2024",
    "photos/*/raw",
    "*.log",
    "*.bak",
    "team/a",
    "team",
    "x/**/y/z.bin",
)
"""In the order in which they are written."""

PATHS = """
a                                -
note.txt                         *.txt
deep/er/note.txt                 *.txt
letters/a                        letters
old/letters/a                    letters
letters/a.txt                    letters/**/*.txt
letters/b/c.txt                  letters/**/*.txt
old/letters/a.txt                letters
letters/open/a                   /letters/open
letters/open/a.txt               /letters/open
old/letters/open/a               letters
old/open/a                       **/open
open                             **/open
photos/2023/a.jpg                photos/20??
photos/2024/a.jpg                photos/2024
photos/2024/raw/a.jpg            photos/*/raw
photos/2024/note.txt             photos/2024
photos/1999/a.jpg                -
photos/1999/raw/a.jpg            photos/*/raw
photos/2023                      photos/20??
a.log                            *.log
a.bak                            *.bak
a.log/x.bak                      *.bak
a.bak/x.log                      *.bak
team/a/f                         team/a
team/ab/f                        team
team/b                           team
teams/b                          -
x/y/z.bin                        x/**/y/z.bin
x/1/2/y/z.bin                    x/**/y/z.bin
x/1/2/y/z.bin/below              x/**/y/z.bin
y/z.bin                          -
letters/                         letters
letters/open/                    /letters/open
photos/                          -
photos/2025/                     photos/20??
note.txt/                        *.txt
"""


def marked(text: str) -> NewFiles:
    return NewFiles(protection=Protection(source=None), key_name=text)


@pytest.mark.parametrize("prefix", ["", "letters/2024"])
@pytest.mark.parametrize(("path", "rule"), [line.split() for line in PATHS.strip().splitlines()])
def test_the_most_specific_rule_counts_and_among_equals_the_last(
    path: str, rule: str, prefix: str
) -> None:
    policy = Policy(
        marked("-"), [(parse_glob(text), marked(text)) for text in RULES], prefix=prefix
    )
    key = f"{prefix}/{path}" if prefix else path
    assert policy.new_files(key).key_name == rule


def test_the_order_of_writing_decides_among_equals_alone() -> None:
    globs = ["ab", "?b", "a?", "/ab"]
    for order in (globs, globs[::-1]):
        policy = Policy(
            marked("-"), [(parse_glob(text), marked(text)) for text in order], prefix=""
        )
        assert policy.new_files("ab").key_name == "/ab"
        assert policy.new_files("x/ab").key_name == "ab"
    equal = [(parse_glob("a*"), marked("first")), (parse_glob("*b"), marked("second"))]
    for rules, last in ((equal, "second"), (equal[::-1], "first")):
        assert Policy(marked("-"), rules, prefix="").new_files("ab").key_name == last


def test_the_root_and_its_marker_have_the_default() -> None:
    for prefix, keys in (("", [""]), ("a/b", ["a/b/"])):
        policy = Policy(marked("-"), [(parse_glob("a/b"), marked("a/b"))], prefix=prefix)
        for key in keys:
            assert policy.new_files(key).key_name == "-"


SECRET = ("secret", NAMED, True)
OPEN = ("open", None, False)
SERVED = ("served", AES256, False)


async def is_encrypted(world: World, key: str) -> bool:
    metadata = (await world.head(key)).metadata
    return any(name.startswith("client-side-encryption-") for name in metadata)


async def test_each_file_gets_what_its_path_says_and_all_are_read_without(
    rsa_world: World,
) -> None:
    world = rsa_world
    mount = world.mount(rules=[SECRET, OPEN, SERVED])
    expected: dict[str, tuple[bool, ServerEncryption | None, str]] = {
        "f": (True, None, "client"),
        "open": (False, None, "none"),
        "served": (False, AES256, "server"),
        "secret": (True, NAMED, "client+server"),
    }
    for name, (client, server, shown) in expected.items():
        folder = f"in/{name}" if name != "f" else "in"
        if name == "f":
            await mount.mkdir("in")
        else:
            await mount.mkdir(folder)
        assert await mount.status(folder, "encryption") == shown
        path = f"{folder}/f"
        handle = await mount.create(path)
        await mount.fs.write(handle, 0, b"content")
        assert await mount.status(path, "encryption") == shown
        await mount.close(handle)
        assert await mount.status(path, "encryption") == shown
        assert await is_encrypted(world, path) is client
        assert (await world.head(path)).encryption == server
        await mount.symlink(f"{folder}/link", b"f")
        assert await is_encrypted(world, f"{folder}/link") is client
        assert (await world.head(f"{folder}/link")).encryption == server
    other = world.mount()
    for path in ("in/f", "in/open/f", "in/served/f", "in/secret/f"):
        assert await other.read(path) == b"content"
    assert (await world.head("in/secret/")).encryption == NAMED


async def test_a_rename_keeps_what_the_object_has_and_new_content_gets_what_its_place_says(
    rsa_world: World,
) -> None:
    world = rsa_world
    mount = world.mount(rules=[SECRET, OPEN])
    for name in ("open", "secret"):
        await mount.mkdir(name)
    await mount.write("secret/f", b"one")
    await mount.rename("secret/f", "open/f")
    assert await is_encrypted(world, "open/f")
    assert (await world.head("open/f")).encryption == NAMED
    assert await mount.status("open/f", "encryption") == "client+server"
    await mount.write("open/f", b"two")
    assert not await is_encrypted(world, "open/f")
    # Nothing is asked for there, so what was chosen for the file before stays.
    assert (await world.head("open/f")).encryption == NAMED
    await mount.rename("open/f", "secret/g")
    assert not await is_encrypted(world, "secret/g")
    await mount.truncate("secret/g", 1)
    assert await is_encrypted(world, "secret/g")


async def test_what_is_not_stored_yet_gets_what_the_place_says_that_it_is_renamed_to(
    rsa_world: World,
) -> None:
    world = rsa_world
    mount = world.mount(rules=[SECRET, OPEN])
    for name in ("open", "secret"):
        await mount.mkdir(name)
    handle = await mount.create("open/f")
    await mount.fs.write(handle, 0, b"content")
    await mount.rename("open/f", "secret/f")
    assert await mount.status("secret/f", "encryption") == "client+server"
    await mount.close(handle)
    assert await is_encrypted(world, "secret/f")
    await mount.write("open/there", b"old")
    handle = await mount.create("secret/new")
    await mount.fs.write(handle, 0, b"new")
    await mount.rename("secret/new", "open/there")
    assert not await is_encrypted(world, "open/there")
    await mount.close(handle)
    assert await mount.read("open/there") == b"new"


async def test_a_directory_that_moves_takes_its_objects_as_they_are(rsa_world: World) -> None:
    world = rsa_world
    mount = world.mount(rules=[SECRET, OPEN])
    await mount.mkdir("secret")
    await mount.write("secret/f", b"content")
    await mount.rename("secret", "open")
    assert await is_encrypted(world, "open/f")
    assert (await world.head("open/f")).encryption == NAMED
    await mount.write("open/new", b"content")
    assert not await is_encrypted(world, "open/new")
    assert await mount.status("open", "encryption") == "none"


async def test_a_choice_for_a_file_lasts_until_a_policy_asks_for_another(world: World) -> None:
    mount = world.mount(rules=[SECRET, OPEN])
    for name in ("open", "secret"):
        await mount.mkdir(name)
        await mount.write(f"{name}/f", b"one")
        await mount.set_xattr(f"{name}/f", b"user.ossfs.sse", b"AES256")
        await mount.write(f"{name}/f", b"two")
    assert (await world.head("open/f")).encryption == AES256
    assert (await world.head("secret/f")).encryption == NAMED
