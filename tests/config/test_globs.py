"""Patterns of paths, by a table and against a second implementation."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.config.globs import UNNAMED, parse_glob

MATCHING = """
letter           letter
letter           a/letter
letter           a/letter/b/c
letter           letter/b
*.txt            a.txt
*.txt            a/b/c.txt
*.txt            .txt
*.txt            folder.txt/photo.png
/letter          letter
/letter          letter/b
a/letter         a/letter
a/letter         a/letter/x
/a/letter        a/letter
a/*              a/b
a/*              a/b/c
a/*/c            a/b/c
a/**             a/b
a/**             a/b/c/d
a/**/d           a/d
a/**/d           a/b/c/d
a/**/d           a/b/d/x
**/d             d
**/d             b/c/d
**               anything/at/all
**/**            anything/at/all
a?c              abc
a?c              x/abc/y
a*b*c            a1b2b3c
[ab].txt         [ab].txt
{a,b}            {a,b}
!a               !a
café             café
a/**/b/**/c      a/x/b/y/z/c
"""

OTHER = """
letter           letters
letter           aletter
letter           Letter
*.txt            a.text
*.txt            txt
/letter          a/letter
a/letter         b/a/letter
a/*              a
a/*/c            a/b/x/c
a/*/c            a/c
a/**/d           b/a/d
a?c              ac
a?c              a/c
[ab].txt         a.txt
a/**/b/**/c      a/x/b/y/z/d
a*b              a/b
"""


def pairs(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


@pytest.mark.parametrize(("glob", "path"), pairs(MATCHING))
def test_it_matches(glob: str, path: str) -> None:
    assert parse_glob(glob).matches(path)


@pytest.mark.parametrize(("glob", "path"), pairs(OTHER))
def test_it_does_not_match(glob: str, path: str) -> None:
    assert not parse_glob(glob).matches(path)


@pytest.mark.parametrize(
    ("glob", "says"),
    [
        ("", "matches nothing"),
        ("/", "ends with a slash"),
        ("a/", "ends with a slash"),
        ("a//b", "no name is ''"),
        ("./a", "no name is '.'"),
        ("a/../b", "no name is '..'"),
        ("a/.ossfs/b", "reserved"),
        (".ossfs", "reserved"),
        ("a**", "stands alone"),
        ("a/***", "stands alone"),
        ("a\0b", "cannot be seen"),
        ("a\nb", "cannot be seen"),
        ("x" * 1024, "longer than a path"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(glob: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_glob(glob)


def test_the_characters_that_stand_for_themselves_count() -> None:
    counts = {"**": 0, "*": 0, "*.txt": 4, "/docs": 5, "docs": 4, "docs/**": 5, "a?c": 2}
    assert {glob: parse_glob(glob).specificity for glob in counts} == counts


def test_a_name_that_is_not_known_yet_is_matched_only_where_any_name_is() -> None:
    for glob in ("ab", "ab/*", "ab/**", "*", "**", "ab/**/*", "?b"):
        assert parse_glob(glob).matches(f"ab/{UNNAMED}")
    for glob in ("*.txt", "?", "ab/?", "b", "ab/b"):
        assert not parse_glob(glob).matches(f"ab/{UNNAMED}")


names = st.text("ab.", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
parts = st.one_of(names, st.text("ab*?", min_size=1, max_size=4), st.just("**")).filter(
    lambda part: part == "**" or "**" not in part
)


def simply(glob: str, path: str) -> bool:
    """The rules said once more, by recursion and without an expression."""

    def name(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(name(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
        return bool(text) and pattern[0] in {text[0], "?"} and name(pattern[1:], text[1:])

    def whole(patterns: list[str], texts: list[str]) -> bool:
        if not patterns:
            return True  # what is left lies below what matched
        if patterns[0] == "**":
            return any(whole(patterns[1:], texts[skip:]) for skip in range(len(texts) + 1))
        return bool(texts) and name(patterns[0], texts[0]) and whole(patterns[1:], texts[1:])

    patterns = glob.removeprefix("/").split("/")
    if "/" not in glob:
        patterns = ["**", *patterns]
    return whole(patterns, path.split("/"))


@given(
    st.lists(parts, min_size=1, max_size=4),
    st.booleans(),
    st.lists(names, min_size=1, max_size=5),
)
def test_it_matches_as_a_second_implementation_does(
    patterns: list[str], rooted: bool, texts: list[str]
) -> None:
    glob, path = "/" * rooted + "/".join(patterns), "/".join(texts)
    assert parse_glob(glob).matches(path) is simply(glob, path)


def test_many_stars_do_not_take_long() -> None:
    glob = parse_glob("*a" * 100 + "b")
    began = time.process_time()
    assert not glob.matches("a" * 250)
    assert not parse_glob("**/a/" * 10 + "b").matches("a/" * 60 + "c")
    assert time.process_time() - began < 5
