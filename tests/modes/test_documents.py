"""README's table of client-side modes is the table of the tests."""

import re
from pathlib import Path

from tests.modes.modes import MODES

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_readme_and_the_matrix_name_the_same_modes_options_and_clients() -> None:
    table = README.partition("| client-side mode |")[2].partition("\n\n")[0]
    rows = [re.findall(r"(?<=\| )(.*?)(?= \|)", line) for line in table.splitlines()[2:]]
    expected = [
        [
            mode.name,
            f"`{mode.options}`",
            f"`{mode.wrap_alg}`",
            ", ".join(mode.readers),
            ", ".join(mode.writers),
            "yes" if mode.sealed else "no",
        ]
        for mode in MODES
    ]
    assert rows == expected
