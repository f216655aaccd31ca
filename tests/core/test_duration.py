"""Durations and sizes: what people write is read, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gateway.core.duration import MAX_DURATION, Duration, Size, format_duration, parse_duration, parse_size

whole_milliseconds = st.integers(0, MAX_DURATION // timedelta(milliseconds=1)).map(lambda n: timedelta(milliseconds=n))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", timedelta(seconds=45)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5h", timedelta(minutes=90)),
        ("0s", timedelta(0)),
        (0, timedelta(0)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_a_duration_is_numbers_with_units(text: Any, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        5,
        1.5,
        True,
        False,
        None,
        "-5s",
        "5 s",
        "s",
        "5x",
        "5S",
        "1e3s",
        "nan",
        "inf",
        "\u0665s",
        "5s\n",
        "1.s",
        [],
        {},
        "9" * 39 + "d",
        "1" * 50 + "s",
        "36501d",
    ],
)
def test_anything_else_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a duration|longer than a hundred years"):
        parse_duration(text)


@given(whole_milliseconds)
def test_what_is_written_is_read_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(
    st.from_regex(r"([0-9]{1,5}(\.[0-9]{1,6})?(ms|[wdhms])){1,3}", fullmatch=True).filter(lambda text: len(text) <= 40)
)
@example("0.0006s")
def test_what_is_read_can_be_written(text: str) -> None:
    try:
        value = parse_duration(text)
    except ValueError:
        return  # longer than a hundred years

    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1MiB", 2**20), ("512KiB", 2**19), ("10MB", 10**7), ("2 GiB", 2**31), ("7B", 7), ("7", 7), (7, 7), (0, 0)],
)
def test_a_size_is_a_number_of_bytes(text: Any, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", -1, 1.5, True, None, "1.5MiB", "1mib", "1TiB", "\u0661MiB", "1" * 99]
)
def test_anything_else_is_no_size(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


class Settings(BaseModel):
    pause: Duration = timedelta(seconds=30)
    limit: Size = 1


def test_a_field_reads_and_writes_durations_as_people_do() -> None:
    settings = Settings.model_validate({"pause": "1m30s", "limit": "1KiB"})

    assert settings.model_dump(mode="json") == {"pause": "1m30s", "limit": 1024}
    with pytest.raises(ValidationError, match="expected a duration such as 45s"):
        Settings.model_validate({"pause": 90})
