"""The `Retry-After` header, sensible and hostile."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.targets import retry_after

NOW = datetime(2027, 1, 15, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("999999999", 999_999_999),
        ("Fri, 15 Jan 2027 22:00:30 GMT", 30),
    ],
)
def test_seconds_and_dates_are_understood(value: str, seconds: int) -> None:
    assert retry_after.parse(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "-5",
        "+5",
        "1.5",
        "1e9",
        "nan",
        "inf",
        "0x10",
        "٣",
        "5 ",
        "5, 10",
        "soon",
        "9" * 5000,
        "2027-01-15T22:00:30Z",
        "Fri, 15 Jan 2027 21:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Feb 2027 00:00:00 GMT",
        "Fri, 15 Jan 99999 22:00:30 GMT",
    ],
)
def test_everything_else_counts_as_not_sent(value: str | None) -> None:
    assert retry_after.parse(value, NOW) is None


@given(st.text())
def test_no_value_raises(value: str) -> None:
    retry_after.parse(value, NOW)
