"""Programs that map files, and programs that keep databases in them."""

import sys
from pathlib import Path

import pytest

from tests.fuse.mounting import Mount
from tests.fuse.observing import upload_state
from tests.fuse.programs import python, sh
from tests.waiting import wait_until

pytestmark = pytest.mark.fuse


def test_a_mapping_that_is_flushed_is_stored(shared: Mount, work: Path) -> None:
    script = """
import mmap, os, sys
with open(sys.argv[1], "w+b") as file:
    file.truncate(300_000)
    with mmap.mmap(file.fileno(), 0) as mapping:
        mapping[:5] = b"begin"
        mapping[200_000:200_006] = b"middle"
        mapping.flush()
        print(os.getxattr(sys.argv[1], "user.ossfs.upload"))
        mapping[-3:] = b"end"
"""
    assert python(script, work / "f") == "b'clean'\n"
    wait_until(lambda: upload_state(work / "f") == "clean")
    content = (work / "f").read_bytes()
    assert content == b"begin" + bytes(199_995) + b"middle" + bytes(99_991) + b"end"


def test_a_mapping_that_outlives_the_descriptor_is_stored_when_it_goes(
    shared: Mount, work: Path
) -> None:
    (work / "f").write_bytes(bytes(100_000))
    script = """
import mmap, sys
file = open(sys.argv[1], "r+b")
mapping = mmap.mmap(file.fileno(), 0)
file.close()
mapping[50_000:50_007] = b"written"
mapping.close()
"""
    python(script, work / "f")
    wait_until(lambda: upload_state(work / "f") == "clean")
    shared.again()
    assert (work / "f").read_bytes() == bytes(50_000) + b"written" + bytes(49_993)


@pytest.mark.parametrize("mode", ["a+b", "r+b"])
def test_a_mapping_beside_or_through_a_descriptor_that_appends_writes_in_its_place(
    work: Path, mode: str
) -> None:
    (work / "f").write_bytes(b"x" * 10_000)
    script = """
    import mmap, os, sys
    path, mode = sys.argv[1:]
    log = open(path, "ab", buffering=0)
    with open(path, mode) as file, mmap.mmap(file.fileno(), 0) as mapping:
        log.write(b"one")
        mapping[5_000:5_003] = b"map"
        mapping.flush()
        log.write(b"two")
        mapping[0:3] = b"MAP"
    log.write(b"three")
    """
    python(script, work / "f", mode)
    wait_until(lambda: upload_state(work / "f") == "clean")
    expected = b"MAP" + b"x" * 4_997 + b"map" + b"x" * 4_997 + b"onetwothree"
    assert (work / "f").read_bytes() == expected


def test_a_private_mapping_reads_and_changes_nothing(work: Path) -> None:
    (work / "f").write_bytes(b"x" * 500_000)
    script = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    assert mapping[:] == b"x" * 500_000
    mapping[0:1] = b"y"
"""
    python(script, work / "f")
    assert (work / "f").read_bytes() == b"x" * 500_000


@pytest.mark.parametrize("journal", ["DELETE", "TRUNCATE", "WAL"])
def test_sqlite_keeps_its_promises(shared: Mount, work: Path, journal: str) -> None:
    script = """
import sqlite3, sys
path, mode = sys.argv[1:]
for round in range(3):
    base = sqlite3.connect(path)
    assert base.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode.lower()
    base.execute("create table if not exists t (n integer primary key, text)")
    with base:
        base.executemany("insert into t (text) values (?)", [("x" * 100,)] * 500)
    try:
        with base:
            base.execute("delete from t")
            raise RuntimeError
    except RuntimeError:
        pass
    base.close()
base = sqlite3.connect(path)
print(*base.execute("select count(*) from t").fetchone())
print(*base.execute("pragma integrity_check").fetchone())
base.execute("vacuum")
base.close()
"""
    assert python(script, work / "base", journal) == "1500\nok\n"
    # The file in the bucket is whole too: as the mount reads it after nothing else is left of it.
    shared.again()
    script = """
import sqlite3, sys
print(*sqlite3.connect(sys.argv[1]).execute("pragma integrity_check").fetchone())
"""
    assert python(script, work / "base") == "ok\n"


def test_sqlite_serves_two_processes(work: Path) -> None:
    script = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=60)
base.execute("create table if not exists t (who)")
for _ in range(10):
    with base:
        base.execute("insert into t values (?)", (sys.argv[2],))
"""
    (work / "script.py").write_text(script)
    run = 'for i in 1 2; do "$2" "$1"/script.py "$1"/base $i & done; wait -n; wait -n'
    sh(run, work, sys.executable)
    script = """
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute("select who, count(*) from t group by who"):
    print(*row)
"""
    assert python(script, work / "base") == "1 10\n2 10\n"


def test_python_finds_everything_it_needs(work: Path) -> None:
    script = """
import compileall, gzip, os, pathlib, shelve, sys, tempfile, zipfile
work = pathlib.Path(sys.argv[1])
(work / "module.py").write_text("answer = 42")
assert compileall.compile_dir(work, quiet=1)
sys.path.insert(0, str(work))
import module
assert module.answer == 42
(work / "z.gz").write_bytes(gzip.compress(bytes(100_000)))
assert gzip.decompress((work / "z.gz").read_bytes()) == bytes(100_000)
with zipfile.ZipFile(work / "a.zip", "w") as archive:
    archive.write(work / "module.py", "module.py")
with zipfile.ZipFile(work / "a.zip") as archive:
    assert archive.testzip() is None
for value in ([1, 2, 3], [4]):
    with shelve.open(str(work / "shelf")) as shelf:
        shelf["key"] = value
with shelve.open(str(work / "shelf")) as shelf:
    assert shelf["key"] == [4]
with tempfile.NamedTemporaryFile(dir=work) as file:
    file.write(b"x")
    file.flush()
    assert os.path.getsize(file.name) == 1
with tempfile.TemporaryDirectory(dir=work) as directory:
    pathlib.Path(directory, "f").touch()
"""
    python(script, work)
