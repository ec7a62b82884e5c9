"""`ossfs install-helper`: links this program where mount(8) looks for its types."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from ossfs.cli.arguments import CommandParser
from ossfs.cli.mount_helper import HELPER_NAMES
from ossfs.errors import CommandError

_FOLDER = Path("/usr/sbin")


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "--folder", type=Path, default=_FOLDER, help=f"where the links go [{_FOLDER}]"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make or renew the links; never replaces a file that is not one."""
    program = _program()
    for name in HELPER_NAMES:
        link = arguments.folder / name
        _make_link(link, program)
        print(f"{link} -> {program}")
    print("`mount -t ossfs oss://BUCKET /mnt -o …` and lines of that type in /etc/fstab work now.")
    return 0


def _program() -> Path:
    """The installed `ossfs` script that runs now, else the one on the PATH."""
    script = Path(sys.argv[0])
    if script.name == "ossfs" and os.access(script, os.X_OK):
        return script.absolute()
    beside = Path(sys.executable).with_name("ossfs")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("ossfs")
    if found is None:
        raise CommandError("the installed command ossfs was not found; install the package first")
    return Path(found)


def _make_link(link: Path, program: Path) -> None:
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(program)
    except FileExistsError:
        raise CommandError(f"{link} exists and is not a link; remove it first") from None
    except OSError as error:
        raise CommandError(f"{link} cannot be made: {error.strerror} (are you root?)") from error
