"""What a user writes about when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.core.times import NEVER, Times
from gateway.core.timing import Moment, Timing
from tests.core.due import due, utc

BERLIN = ZoneInfo("Europe/Berlin")
SINCE = utc("2026-01-01T00:00Z")


def timing(**keys: Any) -> Timing:
    return Timing.model_validate(keys)


def times(start: datetime | None = None, **keys: Any) -> Times:
    return timing(**keys).times(BERLIN, "name", SINCE, start)


@pytest.mark.parametrize(
    ("keys", "since", "expected"),
    [
        ({"cron": "0 1 * * *"}, "2026-05-01T00:00Z", "2026-05-02T01:00+02:00"),
        ({"interval": "45s"}, "2026-01-01T00:00:50Z", "2026-01-01T00:01:30Z"),
        ({"interval": "1h", "anchor": "2026-01-01T00:20:00Z"}, "2026-05-01T00:00Z", "2026-05-01T00:20Z"),
        ({"interval": "24h", "anchor": "2026-01-01T12:00:00"}, "2026-05-01T00:00Z", "2026-05-01T11:00Z"),
        ({"at": "2027-01-15T22:00:00+01:00"}, "2026-05-01T00:00Z", "2027-01-15T21:00Z"),
        ({"at": "2026-07-15 22:00"}, "2026-05-01T00:00Z", "2026-07-15T22:00+02:00"),
        ({"at": "2027-03-28T02:30:00"}, "2026-05-01T00:00Z", "2027-03-28T03:00+02:00"),
        ({"at": "2026-10-25T02:30:00"}, "2026-05-01T00:00Z", "2026-10-25T02:30+02:00"),
        ({"calendar": {"months": 1, "time": "04:00"}}, "2026-05-01T12:00Z", "2026-06-01T04:00+02:00"),
        ({"any": [{"cron": "0 6 * * mon-fri"}, {"interval": "12h"}]}, "2026-05-01T03:00Z", "2026-05-01T06:00+02:00"),
        ({"any": [{"cron": "0 6 * * mon-fri"}, {"interval": "12h"}]}, "2026-05-01T05:00Z", "2026-05-01T12:00Z"),
        ({"all": [{"cron": "0 9 * * *"}, {"cron": "* * 1 * *"}]}, "2026-05-01T12:00Z", "2026-06-01T09:00+02:00"),
        ({"all": [{"interval": "6h", "anchor": "2026-01-01T00:00:00Z"}, {"cron": "0 8 * * *"}]},
         "2026-05-01T12:00Z", "2026-05-02T08:00+02:00"),
    ],
)  # fmt: skip
def test_it_is_due_when_it_says(keys: dict[str, Any], since: str, expected: str) -> None:
    assert times(**keys).after(utc(since)) == utc(expected)


def test_the_calendar_counts_from_the_start() -> None:
    assert times(utc("2026-05-13T12:00Z"), calendar={"months": 2}).after(SINCE) == utc("2026-01-13T00:00+01:00")


def test_members_share_the_name() -> None:
    either = times(any=[{"cron": "H * * * *"}, {"cron": "H */2 * * *"}])

    assert len(due(either, SINCE, SINCE + timedelta(hours=24))) == 24


@pytest.mark.parametrize("cron", ["", " ", None])
def test_an_empty_cron_is_off(cron: str | None) -> None:
    off = timing(cron=cron)

    assert off.is_off
    assert off.times(BERLIN, "name", SINCE, None) == NEVER
    assert off.never_fires(BERLIN, "name", SINCE) is None
    assert timing(**off.model_dump(exclude_unset=True)).is_off
    assert not timing(cron="@daily").is_off
    assert not timing(interval="5m").is_off


EXACTLY_ONE = "expected exactly one of cron, interval, at, calendar, any, all"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, EXACTLY_ONE),
        ({"interval": None}, EXACTLY_ONE),
        ({"cron": "@daily", "interval": "5m"}, EXACTLY_ONE),
        ({"cron": "", "interval": "5m"}, EXACTLY_ONE),
        ({"at": "2027-01-15T22:00:00Z", "calendar": {"days": 1}}, EXACTLY_ONE),
        ({"cron": "@daily", "anchor": "2026-01-01T00:00:00Z"}, "anchor goes with interval"),
        ({"anchor": "2026-01-01T00:00:00Z"}, EXACTLY_ONE),
        ({"cron": "0 0 31 2 *"}, "there is no such day"),
        ({"cron": "x" * 50_000}, "longer than 256 characters"),
        ({"cron": ["@daily"]}, "valid string"),
        ({"interval": "0s"}, "expected at least 1s"),
        ({"interval": "999ms"}, "expected at least 1s"),
        ({"interval": "-5m"}, "expected a duration"),
        ({"interval": 5}, "expected a duration"),
        ({"at": "tomorrow"}, "expected a time such as"),
        ({"at": "2027-01-15"}, "expected a time such as"),
        ({"at": 1_800_000_000}, "expected a time such as"),
        ({"at": "2027-02-29T00:00:00Z"}, "day is out of range"),
        ({"at": "2027-01-15T24:00:01Z"}, "hour must be in"),
        ({"at": "2027-01-15T22:00:00+99:00"}, "offset"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "expected a year from 1970 to 2999"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "expected a year from 1970 to 2999"),
        ({"at": "2027-01-15T22:00:00Z\n"}, "expected a time such as"),
        ({"at": "\u0662027-01-15T22:00:00Z"}, "expected a time such as"),
        ({"any": []}, "at least 1 item"),
        ({"all": []}, "at least 1 item"),
        ({"any": [{"cron": "@daily"}] * 21}, "at most 20 items"),
        ({"any": [{"any": [{"cron": "@daily"}] * 11}] * 2}, "more than 20 members in all"),
        ({"any": [{}]}, EXACTLY_ONE),
        ({"any": ["@daily"]}, "valid dictionary"),
        ({"any": [{"cron": ""}]}, "cron is empty in a member of any or all"),
        ({"all": [{"any": [{"cron": None}]}]}, "cron is empty in a member of any or all"),
        ({"any": [{"all": [{"any": [{"any": [{"cron": "@daily"}]}]}]}]}, "at most 3 deep"),
        ({"all": [{"all": [{"cron": "@daily"}]}]}, "all must not have another all in it"),
        ({"all": [{"any": [{"all": [{"cron": "@daily"}]}]}]}, "all must not have another all in it"),
        ({"all": [{"interval": "5m"}, {"cron": "@daily"}]}, "an interval in all needs an anchor"),
        ({"all": [{"any": [{"interval": "5m"}]}]}, "an interval in all needs an anchor"),
        ({"cron": "@daily", "timezone": "UTC"}, "Extra inputs"),
    ],
)
def test_t09_what_is_no_timing_is_refused(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        timing(**keys)


def test_t09_members_all_the_way_down_are_refused() -> None:
    nested: dict[str, Any] = {"cron": "@daily"}
    for _ in range(5000):
        nested = {"any": [nested]}

    with pytest.raises((ValidationError, RecursionError)):
        timing(**nested)


def test_what_goes_three_deep_is_taken() -> None:
    deep = timing(any=[{"all": [{"any": [{"cron": "0 5 * * *"}, {"cron": "0 6 * * *"}]}, {"cron": "0 6 * * *"}]}])

    assert deep.times(BERLIN, "name", SINCE, None).after(SINCE) == utc("2026-01-01T06:00+01:00")


@pytest.mark.parametrize(
    "keys",
    [
        {"all": [{"cron": "*/2 * * * *"}, {"cron": "1-59/2 * * * *"}]},
        {"any": [{"cron": "@daily"}, {"all": [{"cron": "0 0 * * *"}, {"cron": "0 1 * * *"}]}]},
        {"all": [{"interval": "2s", "anchor": "2026-01-01T00:00:00Z"},
                 {"interval": "2s", "anchor": "2026-01-01T00:00:01Z"}]},
        {"all": [{"at": "2027-01-15T22:00:00Z"}, {"cron": "@daily"}]},
        {"all": [{"calendar": {"years": 9}}, {"cron": "0 0 29 2 *"}]},
    ],
)  # fmt: skip
def test_members_that_never_meet_are_told(keys: dict[str, Any]) -> None:
    reason = timing(**keys).never_fires(BERLIN, "name", SINCE)

    assert reason == "all: its members are not due at the same instant within eight years"


@pytest.mark.parametrize(
    "keys",
    [
        {"cron": "@daily"},
        {"at": "2020-01-15T22:00:00Z"},
        {"all": [{"cron": "0 9 * * *"}, {"cron": "* * 29 2 *"}]},
        {"all": [{"at": "2020-01-15T00:00:00"}, {"cron": "@daily"}]},
        {"any": [{"at": "2020-01-15T22:00:00Z"}]},
    ],
)
def test_what_fires_or_has_fired_is_not_told(keys: dict[str, Any]) -> None:
    assert timing(**keys).never_fires(BERLIN, "name", SINCE) is None


class Extended(Timing):
    KINDS = (*Timing.KINDS, "continuous")

    continuous: bool | None = None


def test_a_kind_can_be_added() -> None:
    assert Extended.model_validate({"continuous": True}).continuous
    assert Extended.model_validate({"continuous": False}).is_off
    with pytest.raises(ValidationError, match=r"expected exactly one of cron, .*, all, continuous"):
        Extended.model_validate({"continuous": True, "cron": "@daily"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Extended.model_validate({"any": [{"continuous": True}]})


@pytest.mark.parametrize(
    "keys",
    [
        {"cron": "0 1 * * *"},
        {"interval": "45s", "anchor": "2026-01-01T00:00:00+00:00"},
        {"at": "2026-07-15T22:00:00"},
        {"at": "2027-01-15T22:00:00.250000+01:00"},
        {"calendar": {"months": 1, "day": 1, "time": "04:00"}},
        {"any": [{"cron": "0 6 * * mon-fri"}, {"interval": "12h"}]},
    ],
)
def test_it_is_written_as_it_was_read(keys: dict[str, Any]) -> None:
    read = timing(**keys)

    assert read.model_dump(mode="json", exclude_none=True, exclude_unset=True) == keys
    assert timing(**read.model_dump(mode="json")) == read


def test_a_moment_keeps_whether_it_has_an_offset() -> None:
    moments = TypeAdapter(Moment)

    assert moments.validate_python("2026-07-15t22:00:00z") == datetime(2026, 7, 15, 22, tzinfo=UTC)
    assert moments.validate_python("2026-07-15T22:00").tzinfo is None


def test_its_schema_can_be_written() -> None:
    assert "Timing" in str(Timing.model_json_schema())
