"""Numbers, bytes, times and maps have one text each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.format import fields
from tests.format.strategies import HOSTILE_TEXT, TEXT, TIMES


@given(st.integers(0, (1 << 64) - 1))
def test_a_number_comes_back(number: int) -> None:
    assert fields.parse_decimal(str(number), number) == number


@pytest.mark.parametrize("text", ["", "+1", "-1", "01", "1 ", " 1", "1_0", "0x1", "٣", "1.0", "11"])
def test_another_writing_of_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        fields.parse_decimal(text, 10)


@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    assert fields.parse_base64(fields.print_base64(data)) == data


@pytest.mark.parametrize("text", ["YQ", "YQ=", "YR==", "Y Q==", "YQ==\n", "YQ==YQ==", "-_==", "é"])
def test_base64_that_nobody_prints_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the decoder's own texts vary)
        fields.parse_base64(text)


@given(TIMES)
def test_a_time_comes_back(nanoseconds: int) -> None:
    assert fields.parse_time(fields.print_time(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000_000_000_000),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("1700000000.000000001", 1_700_000_000_000_000_001),
        ("-1.999999999", -1),
        ("-1", -1_000_000_000),
    ],
)
def test_times_of_other_writers_are_read(text: str, nanoseconds: int) -> None:
    assert fields.parse_time(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "-0", "1.", ".5", "1.0000000000", "1e9", "01", "٣", "9" * 12])
def test_a_malformed_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        fields.parse_time(text)


def test_a_time_beyond_all_calendars_is_clamped() -> None:
    assert fields.print_time(10**30) == "99999999999.999999999"
    assert fields.print_time(-(10**30)) == "-99999999999.000000000"


@given(st.dictionaries(TEXT, TEXT))
def test_a_map_has_one_ascii_text(strings: dict[str, str]) -> None:
    text = fields.print_map(strings)
    assert text.isascii()
    assert fields.parse_map(text) == strings
    assert fields.print_map(dict(reversed(list(strings.items())))) == text


@given(HOSTILE_TEXT)
def test_parsers_raise_nothing_but_value_errors(text: str) -> None:
    for parse in (
        fields.parse_base64,
        fields.parse_time,
        fields.parse_map,
        lambda text: fields.parse_decimal(text, 1 << 64),
    ):
        try:
            parse(text)
        except ValueError:
            continue
