"""`ossfs keygen`: an RSA key pair, and how to mount with it."""

import argparse
import shlex
from pathlib import Path

from ossfs.cli.arguments import CommandParser
from ossfs.keys.keygen import DEFAULT_BITS, generate
from ossfs.keys.passphrase import read_passphrase


def configure(parser: CommandParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "name", type=Path, metavar="NAME", help="makes NAME.pem (mode 0600) and NAME.pub.pem"
    )
    parser.add_argument(
        "--bits", type=int, default=DEFAULT_BITS, help=f"length of the key [{DEFAULT_BITS}]"
    )
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="encrypt the private key with the passphrase in FILE",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the pair; a file that exists is never replaced. Raises KeyProblem."""
    file = arguments.passphrase_file
    passphrase = read_passphrase(file) if file else None
    pair = generate(arguments.name, bits=arguments.bits, passphrase=passphrase)
    options = f"--rsa-key {shlex.quote(str(pair.private.absolute()))}"
    if file:
        options += f" --key-passphrase-file {shlex.quote(str(file.absolute()))}"
    print(
        f"private key  {pair.private}   keep it, and a copy elsewhere: nothing else opens the files"
    )
    print(f"public key   {pair.public}   enough to write new files, cannot read old ones")
    print()
    print("Mount with it:")
    print(f"  ossfs mount oss://BUCKET /mnt --region cn-hangzhou {options}")
    return 0
