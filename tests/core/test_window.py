"""Windows: when they are open."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.cron import cron_times
from gateway.core.window import Window
from tests.core.due import due

ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"]


def window(cron: str, lasts: str, timezone: str = "UTC") -> Window:
    return Window.model_validate({"cron": cron, "for": lasts, "timezone": timezone})


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-11-21T21:59:59.999999+01:00", False),
        ("2026-11-21T22:00:00+01:00", True),
        ("2026-11-22T01:59:59.999999+01:00", True),
        ("2026-11-22T02:00:00+01:00", False),
        ("2026-11-21T21:00:00Z", True),
    ],
)
def test_it_is_open_from_its_time_on_and_for_so_long(now: str, is_open: bool) -> None:
    assert window("0 22 * * sat", "4h", "Europe/Amsterdam").is_open(datetime.fromisoformat(now)) is is_open


def test_it_says_when_it_closes() -> None:
    night = window("0 22 * * *", "4h", "Europe/Amsterdam")

    assert night.closes_at(datetime(2026, 11, 21, 22, tzinfo=UTC)) == datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert night.closes_at(datetime(2026, 11, 21, 12, tzinfo=UTC)) is None


def test_one_that_opens_again_before_it_closes_stays_open() -> None:
    always = window("0 * * * *", "2h")

    assert always.closes_at(datetime(2026, 1, 1, 12, 30, tzinfo=UTC)) == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert all(always.is_open(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=7 * i)) for i in range(300))


@pytest.mark.parametrize(
    ("cron", "opens", "closes"),
    [
        # 02:30 does not exist on the 29th of March: it opens at the first instant after the gap.
        ("30 2 29 3 *", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"),
        # 02:30 occurs twice on the 25th of October: it opens the first time.
        ("30 2 25 10 *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        # An hour is an hour, also when the clock is put back in it.
        ("0 2 25 10 *", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
    ],
)
def test_t01_daylight_saving(cron: str, opens: str, closes: str) -> None:
    hour = window(cron, "1h", "Europe/Amsterdam")
    first, last = datetime.fromisoformat(opens), datetime.fromisoformat(closes)
    instants = [first + timedelta(minutes=5 * i) for i in range(-24, 48)]

    assert [now for now in instants if hour.is_open(now)] == [now for now in instants if first <= now < last]


@given(
    st.sampled_from(["30 * * * *", "*/7 */5 * * *", "5-40/5 2 * * *", "59 0-23 * * *", "30 2 * * *", "0 0 L * *"]),
    st.sampled_from(ZONES),
    st.datetimes(min_value=datetime(2018, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 200),
)
@example("30 * * * *", "Australia/Lord_Howe", datetime(2026, 4, 4, 15, 10, tzinfo=UTC), 10)
@example("30 2 * * *", "Europe/Amsterdam", datetime(2026, 10, 25, 1, 31, tzinfo=UTC), 10)
@settings(deadline=None)
def test_t02_it_is_open_from_each_of_its_times_on_for_so_long(cron: str, zone: str, now: datetime, lasts: int) -> None:
    span = timedelta(minutes=lasts)
    opens = due(cron_times(cron, ZoneInfo(zone)), now - timedelta(days=2), now)
    closes = [opened + span for opened in opens if now < opened + span]

    assert window(cron, f"{lasts}m", zone).closes_at(now) == (closes[0] if closes else None)


@pytest.mark.parametrize(
    "cron",
    [
        "", "x", "* * * *", "0 0 1 1 * * 2030", "60 * * * *", "0 24 * * *", "0 0 31 2 *", "*/0 * * * *", "55-5 * * * *",
        "H H * * *", "0 0 * * H", "R * * * *", "0 0 * * R", "1,R(1-2) * * * *", "@reboot", "@every 5m", "@",
        "* * * * *" * 40, "*/1," * 64 + " * * * *", "0 0 * * *\0", 5, None, ["0 0 * * *"], "0 0 * 2 mon#5",
    ],
)  # fmt: skip
def test_t09_times_that_are_none_are_refused(cron: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Window.model_validate({"cron": cron, "for": "1h"})

    assert [error["loc"] for error in caught.value.errors()] == [("cron",)]


def test_h_is_refused_as_a_window_has_no_name() -> None:
    with pytest.raises(ValidationError, match="H is made from the name of a schedule"):
        window("H 22 * * *", "4h")


@pytest.mark.parametrize(
    "cron", ["@daily", "@hourly", "0 0 L * *", "0 0 * * fri#2", "0 0 15W * *", "0 0 ? * mon-fri", "0 55 23 * * sat-sun"]
)
def test_richer_expressions_are_taken(cron: str) -> None:
    opened = cron_times(cron, ZoneInfo("UTC")).after(datetime(2026, 1, 1, tzinfo=UTC))

    assert opened
    assert window(cron, "1m").closes_at(opened) == opened + timedelta(minutes=1)


@pytest.mark.parametrize("zone", ["Mars", "", "../../etc/passwd", "Europe", "/etc/localtime", 5, None, "UTC\0"])
def test_zones_that_are_none_are_refused(zone: object) -> None:
    with pytest.raises(ValidationError, match="expected a time zone"):
        Window.model_validate({"cron": "@daily", "for": "1h", "timezone": zone})


@pytest.mark.parametrize("lasts", ["0s", "-1h", "x", 0])
def test_one_that_never_is_open_is_refused(lasts: object) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate({"cron": "@daily", "for": lasts})


def test_it_is_written_as_it_was_read() -> None:
    written = window("0 22 * * sat", "4h", "Europe/Amsterdam").model_dump(mode="json", by_alias=True)

    assert written == {"cron": "0 22 * * sat", "for": "4h", "timezone": "Europe/Amsterdam"}
