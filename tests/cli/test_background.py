"""The start in the background: its exit code and its one line say what really happened.

Each test runs the command as a process of its own with another `run_mount` in place of the real
one, so that what is tested is the way there and back.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossfs.config.state import mount_state
from tests.waiting import wait_until


class Command:
    """`ossfs mount` with a replaced heart; its processes end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir()
        self.state = mount_state(
            folder / "state", bucket="photos", prefix="", mountpoint=self.mountpoint
        )

    def argv(self, heart: str, *words: str) -> list[str]:
        program = textwrap.dedent(
            """
            import sys, types
            from ossfs.errors import *
            fake = types.ModuleType("ossfs.compose.mount")
            exec(sys.argv[1], globals())
            fake.run_mount = run_mount
            sys.modules["ossfs.compose.mount"] = fake
            from ossfs.cli import main
            sys.exit(main(sys.argv[2:]))
            """
        )
        heart = "def run_mount(config, *, ready):\n" + textwrap.indent(textwrap.dedent(heart), "  ")
        mount = ["mount", "oss://photos", str(self.mountpoint)]
        options = ["--region=cn-hangzhou", "--encrypt=none", f"--state-dir={self.folder}/state"]
        return [sys.executable, "-c", program, heart, *mount, *options, *words]

    def run(self, heart: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(heart, *words), capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def owner(self) -> int:
        return int(self.state.lock.read_text())


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    if made.state.lock.exists() and (text := made.state.lock.read_text()):
        end(int(text))


def end(process: int) -> None:
    """Kill *process* if it still is one of ours."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return
    if b"ossfs.compose.mount" in words:
        os.kill(process, signal.SIGKILL)


LIVES_UNTIL_TOLD = """
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ready()
    signal.sigwait({signal.SIGTERM})
    return 0
"""


def test_the_command_ends_well_once_the_mount_is_ready_and_the_process_lives_on(
    command: Command,
) -> None:
    done = command.run(LIVES_UNTIL_TOLD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    os.kill(command.owner, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{command.owner}").exists())


@pytest.mark.parametrize(
    ("heart", "code", "line"),
    [
        ("raise BucketError('no such bucket')", 3, "ossfs: no such bucket\n"),
        ("raise KeyProblem('the key is\\nnot one')", 4, "ossfs: the key is not one\n"),
        ("raise MountPointError('busy')", 5, "ossfs: busy\n"),
        (
            "import os; os._exit(9)",
            9,
            "ossfs: the mount process ended before it was ready\n",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            1,
            "ossfs: the mount process was ended by SIGKILL before it was ready\n",
        ),
        ("return 6", 6, "ossfs: the mount process ended before it was ready\n"),
    ],
)
def test_what_fails_before_it_is_ready_gives_its_line_and_its_code(
    command: Command, heart: str, code: int, line: str
) -> None:
    done = command.run(heart)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line)


def test_a_fault_of_the_program_is_told_without_detail_and_logged_with_it(
    command: Command,
) -> None:
    done = command.run("raise ZeroDivisionError('detail')")
    assert done.returncode == 1
    log = command.state.log
    assert done.stderr == f"ossfs: internal error: ZeroDivisionError; {log} has more\n"
    assert "Traceback" in log.read_text()


def test_what_the_process_prints_goes_to_the_log_not_to_the_terminal(command: Command) -> None:
    done = command.run(
        """
        import os, logging
        os.write(2, b"libfuse complains\\n")
        logging.getLogger("ossfs.x").info("starting")
        raise MountPointError("refused")
        """
    )
    assert done.stderr == "ossfs: refused\n"
    assert "libfuse complains" in command.state.log.read_text()
    assert "starting" in command.state.log.read_text()


def test_the_log_of_the_mount_before_is_kept(command: Command) -> None:
    for word in ("first", "second"):
        command.run(f"import os; os.write(2, b'{word}'); raise MountPointError('refused')")
    assert command.state.log.read_text() == "second"
    assert command.state.log.with_suffix(".old").read_text() == "first"


def test_the_log_goes_where_it_is_asked_to(command: Command, tmp_path: Path) -> None:
    command.run(
        "import logging; logging.getLogger('ossfs').warning('said'); return 1",
        f"--log-file={tmp_path}/log",
        "--log-format=json",
    )
    assert json.loads((tmp_path / "log").read_text())["message"] == "said"


def test_a_failure_after_it_was_ready_is_logged_and_is_the_exit_code_of_the_process(
    command: Command,
) -> None:
    done = command.run("ready(); raise NotStored('one file')")
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(lambda: "one file" in command.state.log.read_text())


def test_the_process_has_a_session_of_its_own_and_holds_no_directory(command: Command) -> None:
    heart = """
    import os
    print(os.getsid(0) == os.getpid(), os.getcwd(), os.read(0, 1), flush=True)
    raise MountPointError('done')
    """
    command.run(heart)
    assert command.state.log.read_text() == "True / b''\n"


def test_a_second_mount_of_the_same_is_refused_as_long_as_the_first_process_lives(
    command: Command,
) -> None:
    assert command.run(LIVES_UNTIL_TOLD).returncode == 0
    first = command.owner
    done = command.run("return 0")
    assert done.returncode == 5
    assert done.stderr.startswith(f"ossfs: process {first} still serves")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{first}").exists())
    assert command.run(LIVES_UNTIL_TOLD).returncode == 0


def test_an_interrupt_while_it_starts_ends_the_process_too(command: Command) -> None:
    starting = subprocess.Popen(
        command.argv("import signal; open(str(config.mountpoint) + '.up', 'w'); signal.pause()"),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(Path(f"{command.mountpoint}.up").exists)
    starting.send_signal(signal.SIGINT)
    assert starting.communicate(timeout=30)[1] == ""
    assert starting.returncode == 130
    assert not Path(f"/proc/{command.owner}").exists()


def test_in_the_foreground_the_exit_code_is_that_of_the_mount(command: Command) -> None:
    assert command.run("ready(); return 6", "--foreground").returncode == 6
    done = command.run("raise BucketError('no such bucket')", "-f")
    assert (done.returncode, done.stderr) == (3, "ossfs: no such bucket\n")
    done = command.run("import logging; logging.getLogger('ossfs').info('hi'); return 0", "-f")
    assert done.stderr.endswith("INFO ossfs: hi\n")


def test_only_the_owner_gets_at_the_state(command: Command) -> None:
    command.run("return 1")
    assert command.state.directory.stat().st_mode & 0o777 == 0o700
    assert command.state.lock.stat().st_mode & 0o777 == 0o600
