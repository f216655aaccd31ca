"""When something is told: when it begins, again while it lasts, and when it is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.alert import QUIET, Alarm, Alert, Kind, Subject, What
from tests.core.samples import NOW

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def alert(**fields: Any) -> Alert:
    return Alert.model_validate({"target": "chat"} | fields)


def alarm(what: What = What.FAILING, **facts: Any) -> Alarm:
    plain = Alarm(what=what, subject=Subject(kind=Kind.TRIGGER, name="t"), since=NOW, latest=NOW)
    return replace(plain, **facts)


def told_at(alert: Alert, *moments: tuple[timedelta, int]) -> list[timedelta]:
    """At which of these moments, with so many failures, an alert says so."""
    seen, said = alarm(), []
    for after, times in moments:
        seen, due = replace(seen, times=times).tell({"ops": alert}, NOW + after)
        said += [after for _ in due]
    return said


def test_it_is_told_once_when_enough_have_failed_in_a_row() -> None:
    moments = [(n * SECOND, n) for n in range(1, 8)]

    assert told_at(alert(), *moments) == [SECOND]
    assert told_at(alert(after=3), *moments) == [3 * SECOND]


def test_it_is_told_again_while_it_lasts() -> None:
    moments = [(n * HOUR, n) for n in range(1, 40)]

    assert told_at(alert(), *moments) == [1 * HOUR, 13 * HOUR, 25 * HOUR, 37 * HOUR]


def test_what_an_alert_does_not_listen_to_it_does_not_tell() -> None:
    assert told_at(alert(on=["stale", "recovered"]), (SECOND, 9)) == []


def test_only_who_was_told_that_it_began_is_told_that_it_is_over() -> None:
    alerts = {"early": alert(), "late": alert(after=3), "never": alert(on=["failing"])}
    seen, _ = alarm().tell(alerts, NOW)

    assert seen.end(alerts) == ("early",)


def test_one_that_is_not_configured_any_more_is_told_nothing() -> None:
    seen, _ = alarm().tell({"ops": alert()}, NOW)

    assert seen.end({}) == ()


@pytest.mark.parametrize(
    ("fields", "concerned"),
    [
        ({}, [("proxbox", None), ("proxbox", "nightly"), (None, None)]),
        ({"targets": ["proxbox"]}, [("proxbox", None), ("proxbox", "nightly")]),
        ({"schedules": ["nightly"]}, [("proxbox", "nightly")]),
        ({"targets": ["other"], "schedules": ["nightly"]}, [("proxbox", "nightly")]),
        ({"target": "proxbox"}, [(None, None)]),
        ({"target": "proxbox", "targets": ["proxbox"]}, []),
    ],
)
def test_what_an_alert_is_about(fields: dict[str, Any], concerned: list[tuple[str | None, str | None]]) -> None:
    """Never about its own target: that would be told to itself."""
    about = [("proxbox", None), ("proxbox", "nightly"), (None, None)]

    assert [one for one in about if alert(**fields).concerns(*one)] == concerned


def test_failures_in_a_row_are_counted_from_the_first() -> None:
    again = alarm().seen_again(alarm(since=NOW + 99 * HOUR, latest=NOW + 99 * HOUR))

    assert (again.times, again.since, again.latest) == (2, NOW, NOW + 99 * HOUR)


def test_rejections_after_a_silence_are_something_new() -> None:
    first = alarm(What.SOURCE_REJECTING, raised=True)
    goes_on = first.seen_again(alarm(What.SOURCE_REJECTING, since=NOW + QUIET, latest=NOW + QUIET, times=4))
    anew = first.seen_again(alarm(What.SOURCE_REJECTING, since=NOW + QUIET + SECOND, latest=NOW + QUIET + SECOND))

    assert (goes_on.times, goes_on.since, goes_on.raised) == (5, NOW, True)
    assert (anew.times, anew.since, anew.raised) == (1, NOW + QUIET + SECOND, False)


def test_a_success_in_between_makes_staleness_something_new() -> None:
    first = alarm(What.STALE, raised=True)

    assert first.seen_again(alarm(What.STALE, latest=NOW + HOUR)).raised
    assert not first.seen_again(alarm(What.STALE, since=NOW + HOUR, latest=NOW + 2 * HOUR)).raised


@pytest.mark.parametrize(
    "fields",
    [
        {"on": ["recovered"]},
        {"on": ["recovered", "paused"]},
        {"on": []},
        {"on": ["failling"]},
        {"on": "failing"},
        {"after": 0},
        {"after": -1},
        {"repeat": "0s"},
        {"repeat": "soon"},
        {"targets": ["No Name"]},
        {"targets": "proxbox"},
        {"triggers": ["t"]},
    ],
)
def test_p9_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        alert(**fields)
