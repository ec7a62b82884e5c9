"""What the documents say of options and commands is what the program has."""

import re
from pathlib import Path

from ossfs.cli.dispatch import COMMANDS
from ossfs.config.resolve import TABLE

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_operations_lists_every_option_with_its_default_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `--([a-z-]+)`[^|]*\|[^|]*\| (.*) \|$", OPERATIONS, re.MULTILINE))
    expected = {
        option.name: "off" if option.is_switch else option.default or "none"
        for option in TABLE.values()
    }
    assert rows == expected


def test_operations_shows_every_command() -> None:
    shown = re.findall(r"^    ossfs ([a-z-]+) ", OPERATIONS, re.MULTILINE)
    assert shown == list(COMMANDS)


def test_the_documents_name_no_option_that_does_not_exist() -> None:
    of_other_programs = {"xattrs", "filter"}
    of_commands = {
        "once",
        "timeout",
        "json",
        "bits",
        "passphrase-file",
        "help",
        "folder",
        "config",
        "active",
        "recursive",
        "all",
        "sse",
        "sse-kms-key-id",
        "to",
        "dry-run",
        "jobs",
        "report",
    }
    of_serve = "root host port ready-file access-key-id access-key-secret buckets latency bandwidth"
    of_its_kms = {"kms-port", "kms-latency", "kms-fault"}
    of_its_tls = {"tls", "tls-cert", "tls-key", "tls-max"}
    absent_and_said_so = {"replace"}
    known = {*TABLE, *of_other_programs, *of_commands, *of_serve.split(), *of_its_kms, *of_its_tls}
    known.add("fault")
    for name in ("README.md", "docs/operations.md"):
        named = set(re.findall(r"--([a-z][a-z-]+)", (ROOT / name).read_text()))
        assert named <= known | absent_and_said_so, name
