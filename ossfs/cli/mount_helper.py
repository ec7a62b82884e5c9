"""Being called by mount(8) as /usr/sbin/mount.TYPE."""

from collections.abc import Iterator, Sequence

HELPER_NAMES = ("mount.ossfs", "mount.fuse.ossfs")
"""What mount(8) looks for when the type is ossfs or fuse.ossfs."""

_ALONE = frozenset("snv")
_WITH_VALUE = frozenset({"-N", "-t"})


def words_from_mount8(words: Sequence[str]) -> list[str]:
    """Words of `ossfs mount` for those of a helper: SOURCE DIR [-sfnv] [-N NS] [-o OPTS] [-t TYPE].

    There -s, -n and -v ask for nothing that we do, -N and -t tell what we know, and an -f, which
    is to fake the mount, never comes: mount(8) then calls no helper.
    """
    return list(_kept(iter(words)))


def _kept(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not (word.startswith("-") and word[1:] and set(word[1:]) <= _ALONE):
            yield word
