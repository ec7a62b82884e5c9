"""From the words of the command line to a command, and from its outcome to an exit code.

Exit codes: 0 done; 1 something failed; 2 usage; 3 credentials, endpoint or bucket; 4 key;
5 mount point; 6 data not stored; 7 integrity. An error is one line on stderr.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import PurePath

from ossfs import __version__
from ossfs.cli.arguments import CommandParser
from ossfs.cli.mount_helper import HELPER_NAMES, words_from_mount8
from ossfs.config.options import did_you_mean
from ossfs.errors import CommandError, UsageError

COMMANDS = {
    "mount": "mount a bucket, or a prefix of it, on a directory",
    "umount": "store what is not stored yet, then unmount",
    "stat": "show what OSS knows of one file, and how it is encrypted",
    "ls": "list objects, and how each is encrypted",
    "convert": "encrypt stored objects otherwise",
    "bucket-encryption": "show, set or remove what OSS does with new objects",
    "keygen": "make an RSA key pair to encrypt with",
    "key": "list, add, remove, switch and try the keys of a keyring",
    "serve": "run an embedded OSS on this machine, to try things on",
    "install-helper": "let mount(8) and /etc/fstab know the type ossfs",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. SystemExit comes only from --help and --version."""
    words = list(sys.argv[1:] if argv is None else argv)
    program = PurePath(sys.argv[0]).name if argv is None else "ossfs"
    try:
        return _run(program, words)
    except CommandError as error:
        print("ossfs:", " ".join(str(error).splitlines()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain while it ends.
        sys.stdout = None
        return 1


def _run(program: str, words: list[str]) -> int:
    if program in HELPER_NAMES:
        words = ["mount", *words_from_mount8(words)]
    elif words and words[0].startswith("oss://"):
        words = ["mount", *words]
    if not words or words[0].startswith("-"):
        return _without_command(words)
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name}{did_you_mean(name, COMMANDS)}")
    module = importlib.import_module(f"ossfs.cli.{name.replace('-', '_')}")
    parser = CommandParser(prog=f"ossfs {name}", description=f"{COMMANDS[name].capitalize()}.")
    module.configure(parser)
    code: int = module.run(parser.parse(rest))
    return code


def _without_command(words: list[str]) -> int:
    listing = "\n".join(f"  {name:<15} {what}" for name, what in COMMANDS.items())
    parser = CommandParser(
        prog="ossfs",
        usage="ossfs COMMAND …   or   ossfs oss://BUCKET[/PREFIX] MOUNTPOINT [-o OPTIONS]",
        description="An OSS bucket as a directory in which every file is encrypted.",
        epilog=f"commands:\n{listing}\n\n`ossfs COMMAND --help` says more of each.",
    )
    parser.add_argument("--version", action="version", version=f"ossfs {__version__}")
    parser.parse(words)
    raise UsageError("no command is given; `ossfs --help` lists them")
