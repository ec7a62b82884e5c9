"""Programs that work on a mount; none of them runs in the process of the tests."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent


def sh(script: str, *arguments: str | Path, ok: bool = True, seconds: float = 100) -> str:
    """What a shell script prints; its arguments are $1, $2… It must end well, unless not *ok*.

    stderr comes along where the script says so (2>&1).
    """
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{script}", "sh", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=seconds,
        check=False,
    )
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout


def python(script: str, *arguments: str | Path) -> str:
    """The same for a script in Python; its arguments are sys.argv[1:]."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
