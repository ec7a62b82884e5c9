"""The command line: one module per command."""

from ossfs.cli.dispatch import main

__all__ = ["main"]
