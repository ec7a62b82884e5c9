"""Programs that make programs: pip, make and the compiler, git that packs."""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.programs import python, sh

pytestmark = pytest.mark.fuse


def make_wheel(folder: Path) -> Path:
    """A package of modules in a hierarchy, data, and a script."""
    files = {"sample/__init__.py": "from sample.part0.module import answer\n"}
    for number in range(8):
        files[f"sample/part{number}/__init__.py"] = ""
        files[f"sample/part{number}/module.py"] = f"answer = {42 + number}\n"
    files["sample/data.txt"] = "data\n" * 1000
    info = "sample-1.0.dist-info"
    files[f"{info}/METADATA"] = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = "[console_scripts]\nsample = sample:answer.bit_length\n"
    record = "".join(f"{name},{digest(text)},{len(text)}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = folder / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_pip_installs_a_package_that_can_be_imported(
    shared: Mount, work: Path, tmp_path: Path
) -> None:
    install = """
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore HOME="$1" TMPDIR="$1"
    "$3" -I -m pip install -q --no-index --no-deps --target "$1"/site $4 "$2"
    """
    wheel = make_wheel(tmp_path)
    sh(install, work, wheel, sys.executable, "--no-compile")
    sh(install, work, wheel, sys.executable, "--upgrade")
    shared.again()
    script = """
    import importlib.metadata, importlib.resources, sys
    sys.path.insert(0, sys.argv[1])
    import sample, sample.part7.module
    print(sample.answer, sample.part7.module.answer, sample.__file__.startswith(sys.argv[1]))
    print(importlib.metadata.version("sample"))
    print(len((importlib.resources.files("sample") / "data.txt").read_text()))
    """
    assert python(script, work / "site").split() == ["42", "49", "True", "1.0", "5000"]


MAKEFILE = """\
OBJECTS = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
program: $(OBJECTS)
\t$(CC) -o $@ $^
%.o: %.c common.h
\t$(CC) -c -o $@ $<
clean:
\trm -f program $(OBJECTS)
"""


def test_make_builds_once_and_again_only_what_changed(work: Path) -> None:
    (work / "Makefile").write_text(MAKEFILE)
    (work / "common.h").write_text("int part(void);\n")
    (work / "part.c").write_text('#include "common.h"\nint part(void) { return 7; }\n')
    (work / "main.c").write_text('#include "common.h"\nint main(void) { return part() - 7; }\n')
    build = 'cd "$1"; export LC_ALL=C; make -j2'
    assert len(sh(build, work).splitlines()) == 3
    assert "is up to date" in sh(build, work)
    sh('"$1"/program', work)
    with (work / "part.c").open("a") as source:
        source.write("/* changed */\n")
    assert len(sh(build, work).splitlines()) == 2
    sh('cd "$1"; make -s clean', work)
    assert sorted(path.name for path in work.iterdir()) == [
        *("Makefile", "common.h", "main.c", "part.c"),
    ]


def test_git_packs_again_and_again_and_every_object_is_sound(
    shared: Mount, work: Path, tmp_path: Path
) -> None:
    head = f"""
    export HOME="{tmp_path}" GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
    export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
    cd "$1"
    """
    script = """
    git -c init.defaultBranch=main init -q origin
    cd origin
    for i in 1 2 3; do
        seq $((i * 100)) $((i * 900)) >numbers; mkdir -p d$i; cp numbers d$i/f
        git add . && git commit -qm "change $i"
        git repack -q
    done
    git repack -qadf --depth=10
    git tag -a -m one one
    git clone -q . ../local
    git clone -q --bare file://"$PWD" ../bare
    git worktree add -q ../tree one
    cd ../local && echo more >>numbers && git commit -qam more && git push -q origin HEAD:side
    cd ../origin && git gc -q --prune=now --aggressive && git stash list
    """
    check = """
    for repository in origin local bare; do
        git -C $repository fsck --strict --full --no-progress
        git -C $repository log --all --oneline | wc -l
    done
    for clean in origin local tree; do git -C $clean status --porcelain; done
    """
    sh(head + script, work)
    assert sh(head + check, work).split() == ["4", "4", "3"]
    shared.again()
    assert sh(head + check, work).split() == ["4", "4", "3"]
