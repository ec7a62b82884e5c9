"""The long campaigns one after the other, and the report of how they went."""

import argparse
import os
import platform
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "soak.md"


VERDICTS = {0: "passed", 2: "interrupted"}
"""What the exit codes of pytest mean, where no test has failed."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Some tests with longer counts. counts: what the variables of the tests are at scale 1."""

    name: str
    words: tuple[str, ...]
    counts: dict[str, int]

    def settings(self, seed: int, scale: float) -> dict[str, str]:
        scaled = {name: max(1, round(count * scale)) for name, count in self.counts.items()}
        return {"OSSFS_TEST_SEED": str(seed), **{n: str(count) for n, count in scaled.items()}}


CAMPAIGNS = (
    Campaign(
        name="one file",
        words=("tests/fuse/test_exerciser.py", "-k", "one_file"),
        counts={"OSSFS_TEST_FILE_OPERATIONS": 100_000},
    ),
    Campaign(
        name="many processes, failing requests",
        words=("tests/fuse/test_exerciser.py", "-k", "not one_file"),
        counts={"OSSFS_TEST_OPERATIONS": 5_000},
    ),
    Campaign(
        name="beside a local disk",
        words=("tests/fuse/test_side_by_side.py", "-k", "random"),
        counts={"OSSFS_TEST_OPERATIONS": 50_000},
    ),
    Campaign(
        name="two mounts, an SDK, crashes",
        words=("tests/fuse/test_side_by_side_with_others.py",),
        counts={"OSSFS_TEST_OPERATIONS": 20_000},
    ),
    Campaign(name="tools", words=("tests/programs", "tests/fuse/test_tools.py"), counts={}),
    Campaign(
        name="stress-ng, dbench, fio",
        words=("tests/programs/soak_stressors.py",),
        counts={"OSSFS_TEST_SECONDS": 60},
    ),
    Campaign(
        name="Python's own tests",
        words=("tests/programs/soak_cpython.py", "-k", "not test_mmap"),
        counts={},
    ),
    Campaign(
        name="Python's own tests of mappings, up to 6 GB",
        words=("tests/programs/soak_cpython.py", "-k", "test_mmap"),
        counts={},
    ),
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a campaign went. tests: those that ran; failed: the names of those that did not pass."""

    campaign: Campaign
    settings: dict[str, str]
    tests: int
    failed: tuple[str, ...]
    seconds: float
    status: int

    def line(self) -> str:
        """A line of the report's table."""
        counts = ", ".join(
            f"{name.removeprefix('OSSFS_TEST_').lower()} {value}"
            for name, value in self.settings.items()
        )
        verdict = VERDICTS.get(self.status, f"ended with status {self.status}")
        if self.failed:
            verdict = f"**FAILED**: {', '.join(self.failed)}"
        minutes, seconds = divmod(round(self.seconds), 60)
        took = f"{minutes}:{seconds:02}"
        return f"| {self.campaign.name} | {counts} | {self.tests} | {took} | {verdict} |"


def run(campaign: Campaign, seed: int, scale: float) -> Ran:
    settings = campaign.settings(seed, scale)
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        # No test is cut short for being long: the campaign decides how long it is.
        options = ("-q", "-p", "no:cacheprovider", "-o", "timeout=0", f"--junitxml={results}")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *campaign.words],
            cwd=ROOT,
            env={**os.environ, **settings},
            check=False,
        )
        cases = list(ET.parse(results).iter("testcase")) if results.exists() else []
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    return Ran(
        campaign=campaign,
        settings=settings,
        tests=sum(case.find("skipped") is None for case in cases),
        failed=tuple(f"`{case.get('name')}`" for case in failed),
        seconds=time.monotonic() - began,
        status=done.returncode,
    )


def report(runs: list[Ran], names: list[str], command: str, scale: float) -> str:
    """The whole page. names: of all campaigns that were asked for, in their order."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )
    lines = [
        "# The last long campaigns",
        "",
        "Written by `scripts/soak`: random and borrowed tests on real mounts of the embedded",
        "server, with client-side encryption.",
        "",
        f"- Command: `{command}`",
        f"- Ended: {when}, on {machine}, as {'root' if os.geteuid() == 0 else 'an ordinary user'}",
        f"- Scale: {scale:g} of the full counts"
        + ("" if scale >= 1 else ", so shorter than a whole soak"),
        "",
        "| campaign | counts | tests | took | result |",
        "|---|---|---|---|---|",
        *(ran.line() for ran in runs),
        *(f"| {name} | | | | not run |" for name in names[len(runs) :]),
        "",
        "A campaign is repeated with the same seed and `--only` its name.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    names = [campaign.name for campaign in CAMPAIGNS]
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--scale", type=float, default=1.0, help="of the full counts")
    parser.add_argument("--only", action="append", choices=names, help="may be repeated")
    chosen = parser.parse_args()
    wanted = [campaign for campaign in CAMPAIGNS if campaign.name in (chosen.only or names)]
    only = "".join(f" --only '{name}'" for name in chosen.only or ())
    command = f"./scripts/soak --seed {chosen.seed} --scale {chosen.scale:g}{only}"
    print(command, flush=True)
    runs: list[Ran] = []
    for campaign in wanted:
        print(f"\n=== {campaign.name}", flush=True)
        runs.append(run(campaign, chosen.seed, chosen.scale))
        # After each, so that a campaign that is stopped has its report too.
        REPORT.write_text(report(runs, [one.name for one in wanted], command, chosen.scale))
    print(REPORT.read_text())
    return max(bool(ran.status) for ran in runs)


if __name__ == "__main__":
    sys.exit(main())
