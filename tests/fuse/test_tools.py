"""Ordinary tools at work in a mount."""

import os
import stat
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import sh

pytestmark = pytest.mark.fuse


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree with everything that tools must carry over."""
    top = tmp_path / "tree"
    (top / "deep" / "er" / "still").mkdir(parents=True)
    (top / "empty-dir").mkdir()
    (top / "empty").touch()
    (top / "one").write_bytes(b"1")
    (top / "deep" / "big").write_bytes(os.urandom(1_048_579))
    (top / "deep" / "er" / "spaces in name").write_text("x\n" * 1000)
    (top / "deep" / "er" / "still" / "Ünïcödé").write_text("ü")
    (top / "link").symlink_to("deep/big")
    (top / "dangling").symlink_to("nowhere at all")
    (top / "script").write_text("#!/bin/sh\necho ran\n")
    (top / "script").chmod(0o755)
    (top / "deep" / "secret").write_text("s")
    (top / "deep" / "secret").chmod(0o600)
    (top / "deep" / "er").chmod(0o700)
    # In the past, since rsync does not see that times within one second differ.
    for number, path in enumerate([*top.rglob("*"), top]):
        os.utime(
            path, ns=(10**18, (1_500_000_000 + number) * 10**9 + 987_654_321), follow_symlinks=False
        )
    return top


def test_cp_cat_and_cmp_agree(work: Path, tree: Path) -> None:
    sh('cp "$2"/deep/big "$1"/copy; cmp "$2"/deep/big "$1"/copy', work, tree)
    sh('cat "$2"/deep/big >"$1"/cat; cat "$1"/cat | cmp - "$2"/deep/big', work, tree)


def test_cp_a_carries_everything_over(work: Path, tree: Path) -> None:
    sh('cp -a "$2" "$1"/copy', work, tree)
    assert described(work / "copy") == described(tree)
    sh('cp -a "$1"/copy "$1"/again', work)
    assert described(work / "again") == described(tree)


def test_what_was_copied_is_there_after_a_remount(shared: Mount, work: Path, tree: Path) -> None:
    sh('cp -a "$2" "$1"/copy', work, tree)
    shared.again()
    assert described(work / "copy") == described(tree)


def described(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a copy keeps, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        facts = path.lstat()
        kind = stat.S_IFMT(facts.st_mode)
        content: object = None
        if kind == stat.S_IFLNK:
            content = os.readlink(path)
        elif kind == stat.S_IFREG:
            content = path.read_bytes()
        found[str(path.relative_to(top))] = (
            oct(facts.st_mode),
            facts.st_uid,
            facts.st_gid,
            facts.st_mtime_ns,
            facts.st_size if kind != stat.S_IFDIR else None,
            content,
        )
    return found


def test_dd_writes_and_reads_with_any_block_size(work: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_017))
    for size in ("511", "4096", "1M", "7M"):
        sh(
            """dd if="$2" of="$1"/f bs=$3 status=none
            dd if="$1"/f bs=$3 status=none | cmp - "$2" """,
            work,
            source,
            size,
        )


def test_dd_seek_leaves_a_hole_of_zeros_and_conv_notrunc_keeps_the_rest(work: Path) -> None:
    script = """
    cd "$1"
    printf end | dd of=f bs=1 seek=1000000 status=none
    [ $(stat -c %s f) = 1000003 ]
    [ $(tr -d '\\000' <f | wc -c) = 3 ]
    printf AB | dd of=f bs=1 seek=500000 conv=notrunc status=none
    [ $(stat -c %s f) = 1000003 ]
    [ "$(tr -d '\\000' <f)" = ABend ]
    """
    sh(script, work)


def test_mv_renames_within_the_mount_and_out_of_it(work: Path, tree: Path, tmp_path: Path) -> None:
    script = """
    cp -a "$2" "$1"/a
    mv "$1"/a "$1"/b
    [ ! -e "$1"/a ]
    mv "$1"/b/one "$1"/b/deep/uno
    [ "$(cat "$1"/b/deep/uno)" = 1 ]
    mv "$1"/b/deep/uno "$1"/b/one
    mv "$1"/b "$3"/out
    [ ! -e "$1"/b ]
    """
    sh(script, work, tree, tmp_path)
    here, there = described(tmp_path / "out"), described(tree)
    # mv of an entry changes the times of the directories that it leaves and enters.
    for changed in (".", "deep"):
        del here[changed], there[changed]
    assert here == there


def test_rm_r_leaves_nothing_in_the_bucket(shared: Mount, work: Path, tree: Path) -> None:
    sh('cp -a "$2" "$1"/a; rm -r "$1"/a', work, tree)
    assert not (work / "a").exists()
    assert shared.bucket.keys_below(f"{work.name}/a") == []


def test_find_sees_every_entry_and_its_type(work: Path, tree: Path) -> None:
    sh('cp -a "$2" "$1"/a', work, tree)
    listing = (
        'cd "$1"; find . -printf "%y %m %s %p\\n" | sort | sed "s/^d \\([0-7]*\\) [0-9]*/d \\1/"'
    )
    assert sh(listing, work / "a") == sh(listing, tree)
    names = 'cd "$1"; find . -type f -name "*big" -size +1000k'
    assert sh(names, work / "a") == "./deep/big\n"
    assert sh('cd "$1"; find . -type d -empty', work / "a") == "./empty-dir\n"


def test_tar_packs_and_unpacks_in_the_mount(work: Path, tree: Path) -> None:
    script = """
    tar --format=posix -C "$2" -cf "$1"/a.tar .
    mkdir "$1"/a
    tar -C "$1"/a -xpf "$1"/a.tar
    tar -C "$1"/a --compare -f "$1"/a.tar
    tar --format=posix -C "$1"/a -czf "$1"/b.tar.gz .
    mkdir "$1"/b
    tar -C "$1"/b -xpzf "$1"/b.tar.gz
    """
    sh(script, work, tree)
    assert described(work / "a") == described(tree) == described(work / "b")


def test_a_second_rsync_transfers_nothing(work: Path, tree: Path) -> None:
    sh('rsync -aH "$2"/ "$1"/a/', work, tree)
    assert described(work / "a") == described(tree)
    for more in ("", "--checksum"):
        assert sh(f'rsync -aHi {more} "$2"/ "$1"/a/', work, tree) == ""


def test_rsync_updates_in_place_and_deletes(work: Path, tree: Path) -> None:
    sh('rsync -a "$2"/ "$1"/a/', work, tree)
    (tree / "deep" / "big").write_bytes(b"small now")
    (tree / "one").unlink()
    (tree / "new").write_text("new")
    os.utime(tree / "new", (0, 0))
    os.utime(tree, (0, 0))
    sh('rsync -a --inplace --delete "$2"/ "$1"/a/', work, tree)
    assert described(work / "a") == described(tree)


GIT = """
export HOME="$2" GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
"""


def test_git_clones_commits_collects_and_checks(work: Path, tree: Path, tmp_path: Path) -> None:
    script = f"""{GIT}
    git -c init.defaultBranch=main init -q "$2"/origin
    cd "$2"/origin
    cp -a "$3"/. .
    git add . && git commit -qm first
    git clone -q --no-local "$2"/origin "$1"/clone
    cd "$1"/clone
    git status --short
    for i in 1 2 3; do
        echo "line $i" >>one
        git commit -qam "change $i"
    done
    git branch side HEAD~2 && git checkout -q side && echo s >side && git add side
    git commit -qm side && git checkout -q main && git merge -q -m merged side
    git gc -q
    git fsck --strict
    git status --short
    git log --oneline | wc -l
    """
    assert sh(script, work, tmp_path, tree).split() == ["6"]


def test_getfattr_shows_how_a_file_is_encrypted(shared: Mount, work: Path) -> None:
    (work / "f").write_text("content")
    shown = sh('getfattr -d --absolute-names "$1"/f', work)
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert values["user.ossfs.encryption"] == '"client"'
    assert values["user.ossfs.cek-alg"] == '"AES/CTR/NoPadding"'
    assert values["user.ossfs.wrap-alg"] == '"RSA/NONE/PKCS1Padding"'
    assert values["user.ossfs.integrity"] == '"tagged"'
    assert values["user.ossfs.upload"] == '"clean"'
    assert values["user.ossfs.master-key"] == '"key.pem"'
    assert values["user.ossfs.object"] == f'"oss://{shared.bucket.name}/{work.name}/f"'
    head = shared.bucket.client.head_object(f"{work.name}/f")
    assert values["user.ossfs.etag"] == f'"{head.etag}"'
    assert values["user.ossfs.crc64"] == f'"{head.server_crc}"'
    assert "user.ossfs.sse" not in values
    assert sh('getfattr --only-values -n user.ossfs.sse "$1"/f', work) == "none"
    shown = sh('getfattr -d --absolute-names "$1"', shared.path)
    assert 'user.ossfs.pending="0"' in shown
    assert "user.ossfs.version" in shown


def test_programs_in_the_mount_can_be_run(work: Path, tree: Path) -> None:
    assert sh('cp -a "$2" "$1"/a; cd "$1"/a; ./script', work, tree) == "ran\n"
    assert sh('cp /bin/echo "$1"/echo; "$1"/echo hello', work) == "hello\n"


def test_du_df_and_ls_make_sense(work: Path) -> None:
    sh('head -c 1000000 /dev/zero >"$1"/f', work)
    assert int(sh('du -k "$1"/f | cut -f1', work)) in range(970, 1100)
    assert int(sh('df --output=avail -k "$1" | tail -1', work)) > 1 << 30
    assert sh('ls -i "$1" | wc -l', work) == "1\n"
