"""The inode table and the directory tree."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossfs.errors import InvalidArgument, NameTooLong, StaleHandle
from ossfs.types import Ino
from ossfs.vfs.known_names import Listing
from ossfs.vfs.remote import Defaults
from ossfs.vfs.tree import ROOT_INO, Tree

DEFAULTS = Defaults(uid=0, gid=0)
DIRECTORY = DEFAULTS.for_object(DEFAULTS.directory_mode, 0)
FILE = DEFAULTS.for_object(DEFAULTS.file_mode, 0)


@pytest.mark.parametrize(("prefix", "base"), [("", ""), ("team/a", "team/a/")])
def test_a_key_follows_from_the_names_above(prefix: str, base: str) -> None:
    tree = Tree(prefix, DIRECTORY)
    directory, file = tree.new("d", DIRECTORY), tree.new("f", FILE)
    tree.attach(tree.root, "d", directory)
    tree.attach(directory, "f", file)
    assert tree.key(tree.root) == base
    assert tree.key(directory) == f"{base}d/"
    assert tree.key(file) == f"{base}d/f" == tree.child_key(directory, "f")
    assert tree.directory_key(directory, "x") == f"{base}d/x/"
    tree.detach(directory, 0)
    tree.attach(tree.root, "e", directory)
    assert tree.key(file) == f"{base}e/f"
    assert tree.path(file) == ("e", "f")
    assert [path for path, _ in tree.descendants(tree.root)] == ["e", "e/f"]


def test_keys_that_oss_refuses_are_refused() -> None:
    tree = Tree("", DIRECTORY)
    with pytest.raises(InvalidArgument):
        tree.check_key(tree.root, "\\x", is_directory=False)
    deep = tree.root
    for number in range(4):
        node = tree.new(f"{number}" * 250, DIRECTORY)
        tree.attach(deep, node.name, node)
        deep = node
    tree.check_key(deep, "x" * 19, is_directory=False)
    for name, is_directory in (("x" * 20, False), ("x" * 19, True)):
        with pytest.raises(NameTooLong):
            tree.check_key(deep, name, is_directory=is_directory)


def test_a_number_that_is_not_known_is_stale() -> None:
    tree = Tree("", DIRECTORY)
    assert tree.get(ROOT_INO) is tree.root
    with pytest.raises(StaleHandle):
        tree.get(Ino(4711))


def test_a_node_whose_name_went_is_dropped_with_its_last_reference() -> None:
    tree = Tree("", DIRECTORY)
    node = tree.new("f", FILE)
    tree.attach(tree.root, "f", node)
    node.lookups = 3
    tree.forget(node.ino, 1)
    tree.detach(node, 1.0)
    node.unlinked = True
    tree.forget(node.ino, 1)
    assert tree.get(node.ino) is node
    node.handles = 1
    tree.forget(node.ino, 5)
    assert tree.get(node.ino) is node
    node.handles = 0
    tree.release(node)
    assert len(tree) == 1
    tree.forget(node.ino, 1)


def test_detaching_what_left_already_does_not_hide_who_has_the_name_now() -> None:
    tree = Tree("", DIRECTORY)
    old, new = tree.new("f", FILE), tree.new("f", FILE)
    folder = tree.root.entries()
    folder.listing = Listing(0, {})
    tree.attach(tree.root, "f", old)
    tree.detach(old, 1.0)
    assert "f" in folder.absent
    tree.attach(tree.root, "f", new)
    tree.detach(old, 2.0)
    assert folder.absent == {}
    assert folder.listing.names == {"f": False}
    assert folder.children == {"f": new}


def test_beyond_the_limit_what_nobody_holds_is_forgotten() -> None:
    tree = Tree("", DIRECTORY, limit=10)
    for number in range(30):
        node = tree.new(str(number), FILE)
        tree.attach(tree.root, node.name, node)
        node.lookups = 1
    assert len(tree) == 31
    for node in tree:
        if node is not tree.root and node.name != "7":
            tree.forget(node.ino, 1)
    assert len(tree) == 10
    assert "7" in tree.root.entries().children


@settings(max_examples=100)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["new", "attach", "detach", "look", "forget"]),
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=40,
    )
)
def test_every_attached_or_held_node_is_in_the_table_and_no_other(
    steps: list[tuple[str, int, int]],
) -> None:
    tree = Tree("", DIRECTORY)
    nodes, names = [tree.root], itertools.count()
    for action, first, second in steps:
        node, other = nodes[first % len(nodes)], nodes[second % len(nodes)]
        if action == "new":
            made = tree.new(f"{next(names)}", DIRECTORY)
            tree.attach(node, made.name, made)
            nodes.append(made)
        elif node is tree.root:
            continue
        elif action == "attach":
            above = [other]
            while above[-1].parent is not None:
                above.append(above[-1].parent)
            if node not in above and node.name not in other.entries().children:
                tree.detach(node, 0)
                tree.attach(other, node.name, node)
        elif action == "detach":
            if not node.entries().children:
                tree.detach(node, 0)
                tree.release(node)
                if not node.lookups:
                    nodes.remove(node)
        elif action == "look":
            node.lookups += 1
        elif action == "forget":
            tree.forget(node.ino, node.lookups)
            if not node.attached and not node.entries().children:
                nodes.remove(node)
        assert set(tree) == set(nodes)
        for known in nodes:
            assert tree.get(known.ino) is known
    assert len({node.ino for node in nodes}) == len(nodes)


def test_what_is_attached_is_known_though_it_was_dropped_on_its_way() -> None:
    tree = Tree("", DIRECTORY)
    node = tree.new("f", FILE)
    tree.attach(tree.root, "f", node)
    tree.detach(node, 0)
    tree.release(node)
    tree.attach(tree.root, "g", node)
    assert tree.get(node.ino) is node


def test_beyond_the_limit_nodes_that_nobody_holds_are_dropped_though_nobody_forgets_them() -> None:
    tree = Tree("", DIRECTORY, limit=40)
    held = tree.new("held", FILE)
    tree.attach(tree.root, "held", held)
    held.lookups = 1
    for number in range(1000):
        tree.attach(tree.root, f"{number}", tree.new(f"{number}", FILE))
        assert len(tree) <= 46
    assert tree.get(held.ino) is held
    assert tree.root.entries().children["999"].attached


def test_what_is_held_may_exceed_the_limit() -> None:
    tree = Tree("", DIRECTORY, limit=40)
    for number in range(100):
        node = tree.new(f"{number}", FILE)
        tree.attach(tree.root, node.name, node)
        node.lookups = 1
    assert len(tree) == 101
