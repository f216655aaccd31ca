"""Schedules: what may be written, and what it means."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.once import Until
from gateway.core.schedule import Overlap, Schedule, literal
from gateway.core.template import Template, Tree
from tests.core.due import due, utc

HOUR = timedelta(hours=1)
START = utc("2027-01-15T22:00Z")
EVERY_HOUR = {"cron": "0 * * * *"}


def schedule(**fields: Any) -> Schedule:
    return Schedule.model_validate({"target": "sync"} | (fields or EVERY_HOUR))


def refusal(fields: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        Schedule.model_validate(fields)
    return str(refused.value)


def test_what_is_not_said() -> None:
    plain = schedule()

    assert (plain.overlap, plain.until, plain.key) == (Overlap.QUEUE, Until.STARTED, None)
    assert (plain.misfire.policy, plain.misfire.grace, plain.misfire.max) == ("once", HOUR, 100)
    assert (str(plain.timezone), plain.jitter, plain.enabled, plain.payload) == ("UTC", 0 * HOUR, True, Tree({}))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "expected exactly one of cron, interval, at, calendar, any, all, continuous"),
        (EVERY_HOUR | {"interval": "1h"}, "expected exactly one of"),
        (EVERY_HOUR | {"continuous": True}, "expected exactly one of"),
        (EVERY_HOUR | {"pause": "5s"}, "pause goes with continuous"),
        ({"continuous": False, "pause": "5s"}, "pause goes with continuous"),
        ({"continuous": True, "jitter": "5s"}, "jitter, misfire and fresh_for go with times"),
        ({"continuous": True, "misfire": {}}, "jitter, misfire and fresh_for go with times"),
        ({"continuous": True, "fresh_for": "2h"}, "jitter, misfire and fresh_for go with times"),
        ({"continuous": True, "target": None}, "continuous, once, fresh_for and expires go with target"),
        (EVERY_HOUR | {"anchor": "2027-01-01T00:00Z"}, "anchor goes with interval"),
        (EVERY_HOUR | {"start": "2027-01-02T00:00", "end": "2027-01-02T00:00"}, "end: expected a time after start"),
        (
            EVERY_HOUR | {"start": "2027-01-02T00:00", "end": "2027-01-01T23:30Z", "timezone": "Europe/Berlin"},
            None,
        ),
        (
            EVERY_HOUR | {"start": "2027-01-02T00:00", "end": "2027-01-01T23:00Z", "timezone": "Europe/Berlin"},
            "end: expected a time after start",
        ),
        ({"all": [{"cron": "0 0 29 2 *"}, {"cron": "0 0 1 * *"}]}, "not due at the same instant"),
        ({"all": [{"cron": "@daily"}, {"interval": "1h"}]}, "an interval in all needs an anchor"),
        (EVERY_HOUR | {"overlap": "allow", "once": {"key": "k"}}, "allow has no key"),
        (EVERY_HOUR | {"overlap": "allow", "fresh_for": "1h"}, "allow has no key"),
        (EVERY_HOUR | {"overlap": "allow", "expires": "1h"}, None),
        (EVERY_HOUR | {"target": None, "once": {"key": "k"}}, "go with target"),
        (EVERY_HOUR | {"target": None, "fresh_for": "1h"}, "go with target"),
        (EVERY_HOUR | {"target": None, "expires": "1h"}, "go with target"),
        (EVERY_HOUR | {"expires": "1h", "jitter": "1h"}, "expires: expected more than jitter"),
        (EVERY_HOUR | {"expires": "1h1s", "jitter": "1h"}, None),
    ],
)
def test_what_goes_together(fields: dict[str, Any], reason: str | None) -> None:
    if reason is None:
        schedule(**fields)
    else:
        assert reason in refusal({"target": "sync"} | fields)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": "*/1," * 5000 + "* * * * *"}, "cron"),
        ({"cron": 5}, "cron"),
        ({"interval": "0s"}, "interval"),
        ({"interval": "999ms"}, "interval"),
        ({"interval": "-1h"}, "interval"),
        ({"interval": 60}, "interval"),
        ({"interval": "1h", "anchor": "yesterday"}, "anchor"),
        ({"at": "0001-01-01T00:00Z"}, "at"),
        ({"at": 1_800_000_000}, "at"),
        (EVERY_HOUR | {"timezone": "Europe/Atlantis"}, "timezone"),
        (EVERY_HOUR | {"timezone": "../../etc/passwd"}, "timezone"),
        (EVERY_HOUR | {"timezone": ""}, "timezone"),
        (EVERY_HOUR | {"timezone": "UTC\0"}, "timezone"),
        (EVERY_HOUR | {"jitter": "-5s"}, "jitter"),
        (EVERY_HOUR | {"misfire": {"grace": "-1s"}}, "misfire.grace"),
        (EVERY_HOUR | {"misfire": {"policy": "twice"}}, "misfire.policy"),
        (EVERY_HOUR | {"misfire": {"max": 0}}, "misfire.max"),
        (EVERY_HOUR | {"misfire": {"max": 1001}}, "misfire.max"),
        (EVERY_HOUR | {"misfire": {"maximum": 5}}, "misfire.maximum"),
        (EVERY_HOUR | {"overlap": "replace"}, "overlap"),
        (EVERY_HOUR | {"fresh_for": "0s"}, "fresh_for"),
        (EVERY_HOUR | {"expires": "0s"}, "expires"),
        (EVERY_HOUR | {"once": {}}, "once.key"),
        (EVERY_HOUR | {"once": {"key": "k", "until": "started"}}, "once.until"),
        (EVERY_HOUR | {"once": {"key": "{{ run.id }}"}}, "once.key"),
        (EVERY_HOUR | {"once": {"key": "{{ payload }}"}}, "once.key"),
        (EVERY_HOUR | {"payload": {"a": ["{{ event. }}"]}}, "payload"),
        (EVERY_HOUR | {"payload": "{{ events }}"}, "payload"),
        (EVERY_HOUR | {"enabled": "perhaps"}, "enabled"),
        (EVERY_HOUR | {"crom": "@daily"}, "crom"),
        ({"continuous": True, "pause": "-1s"}, "pause"),
        ({"continuous": "for ever"}, "continuous"),
    ],
)
def test_s18_values_that_cannot_be_are_refused_where_they_stand(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        schedule(**fields)

    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [place]


@pytest.mark.parametrize("fields", [None, "nightly", 5, [], {"target": []}, {"cron": {}}, {"all": []}, {"any": [[]]}])
def test_what_is_no_schedule_at_all_is_refused(fields: Any) -> None:
    assert refusal(fields)


@pytest.mark.parametrize(
    ("fields", "is_on"),
    [
        (EVERY_HOUR, True),
        (EVERY_HOUR | {"enabled": False}, False),
        ({"cron": ""}, False),
        ({"cron": "  "}, False),
        ({"cron": "", "enabled": True}, False),
        ({"interval": "1h"}, True),
        ({"at": "2001-01-01T00:00Z"}, True),
        ({"continuous": True}, True),
        ({"continuous": False}, False),
        ({"continuous": True, "enabled": False}, False),
    ],
)
def test_one_without_times_is_off(fields: dict[str, Any], is_on: bool) -> None:
    """A variable that is not set makes an empty text of `cron: ${NIGHTLY-}`."""
    assert schedule(**fields).is_on is is_on


def test_start_and_end_limit_it() -> None:
    hourly = schedule(
        cron="0 * * * *", start="2027-01-16T00:00", end="2027-01-16T03:00", timezone="Europe/Berlin"
    )  # fmt: skip

    assert hourly.bounds == (utc("2027-01-15T23:00Z"), utc("2027-01-16T02:00Z"))
    assert due(hourly.due_times("nightly", START), START - 9 * HOUR, START + 9 * HOUR) == [
        utc("2027-01-15T23:00Z"),
        utc("2027-01-16T00:00Z"),
        utc("2027-01-16T01:00Z"),
    ]


def test_an_interval_counts_from_its_anchor_or_from_when_it_was_set_up() -> None:
    since = START + timedelta(minutes=7)
    free, bound = schedule(interval="1h"), schedule(interval="1h", anchor="2001-01-01T00:30Z")

    assert free.due_times("nightly", since).after(START) == since
    assert bound.due_times("nightly", since).after(START) == START + HOUR / 2


def test_a_hash_in_cron_is_made_from_the_name() -> None:
    hashed = schedule(cron="H H * * *")
    instants = {name: hashed.due_times(name, START).after(START) for name in ("nightly", "weekly", "hourly")}

    assert len(set(instants.values())) == 3
    assert hashed.due_times("nightly", START).after(START) == instants["nightly"]


def test_it_is_the_same_again_after_it_was_stored() -> None:
    fields = {
        "calendar": {"months": 1, "day": 31, "time": "04:00"},
        "timezone": "Europe/Amsterdam",
        "start": "2027-01-01T00:00:00+01:00",
        "jitter": "5m",
        "target": "sync",
        "payload": {"for": "{{ event.time }}"},
        "once": {"key": "k"},
        "misfire": {"policy": "all", "max": 7},
        "overlap": "skip",
        "fresh_for": "2h",
        "expires": "3h",
        "not_during": "maintenance",
    }
    one = Schedule.model_validate(fields)
    stored = one.model_dump(mode="json", exclude_unset=True)

    assert Schedule.model_validate(stored) == one
    assert stored.keys() == fields.keys()


HOSTILE = ["{{ event }}", "{{ nothing }}", "{{", "{% for x in y %}", "{#", "{{ ''.__class__ }}"]


@pytest.mark.parametrize("text", HOSTILE)
def test_s15_texts_from_the_api_stay_texts(text: str) -> None:
    payload = {"a": text, "b": [text, {text: text}]}
    fields = EVERY_HOUR | {"target": "sync", "payload": payload, "once": {"key": text}}
    one = Schedule.model_validate(literal(fields))

    assert one.payload.render({}) == payload
    assert one.key is not None
    assert one.key.text({}) == text
    stored = one.model_dump(mode="json", exclude_unset=True)
    assert (stored["payload"], stored["once"]) == (payload, {"key": text})
    assert Schedule.model_validate(literal(stored)).payload.render({}) == payload
    assert fields["payload"] is payload


@pytest.mark.parametrize("text", HOSTILE)
def test_s15_a_payload_that_is_one_text_stays_it(text: str) -> None:
    one = Schedule.model_validate(literal(EVERY_HOUR | {"target": "sync", "payload": text}))

    assert one.payload.render({}) == text


@pytest.mark.parametrize("once", [None, 5, "k", [], {"key": {}}, {"key": ["{{ x }}"]}, {"kay": "k"}, {}])
def test_what_is_no_key_is_refused_as_ever(once: Any) -> None:
    fields = literal(EVERY_HOUR | {"target": "sync", "once": once})
    if once is None:
        assert Schedule.model_validate(fields).key is None
    else:
        assert "once" in refusal(fields)


@pytest.mark.parametrize(("key", "text"), [(5, "5"), (True, "True"), (Template("{{ event.source }}"), "nightly")])
def test_a_key_that_is_no_text_is_written_as_one(key: Any, text: str) -> None:
    fields = literal(EVERY_HOUR | {"target": "sync", "once": {"key": key}})
    key = Schedule.model_validate(fields).key

    assert key is not None
    assert key.text({"event": {"source": "nightly"}}) == text


def test_a_continuous_one_waits_for_runs_of_others_whatever_it_says_of_its_own() -> None:
    assert schedule(target="sync", continuous=True, overlap="skip").until is Until.STARTED
