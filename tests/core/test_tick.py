"""Ticks: which event each of them is, and what is requested at it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.breaker import Breaker
from gateway.core.misfire import Tick
from gateway.core.once import Until
from gateway.core.plan import Plan
from gateway.core.request import Decision, Request, Verb
from gateway.core.schedule import Schedule, literal
from gateway.core.template import Template
from gateway.core.tick import jitter, pause_before_the_next, tick_event, tick_plan
from gateway.core.trigger import Trigger
from tests.core.due import utc

DUE = utc("2027-01-15T22:00Z")
NOW = DUE + timedelta(seconds=2)
HOUR = timedelta(hours=1)
NAMES = [f"schedule-{number}" for number in range(1000)]

instants = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1)).map(  # noqa: DTZ001 - utc() follows
    lambda local: utc(f"{local.isoformat()}+00:00")
)


def schedule(**fields: Any) -> Schedule:
    return Schedule.model_validate({"cron": "@daily", "target": "sync"} | fields)


def planned(one: Schedule, tick: Tick, *listeners: tuple[str, Trigger], **lanes: Template) -> Plan:
    return tick_plan(one, tick, tick_event("nightly", tick, NOW), listeners, lanes)


def requested(tick: Tick | None = None, /, **fields: Any) -> Request:
    """The request of a tick that is due at `DUE`."""
    (request,) = planned(schedule(**fields), tick or Tick(instant=DUE)).steps
    assert isinstance(request, Request)
    return request


def refused(**fields: Any) -> Decision:
    (decision,) = planned(schedule(**fields), Tick(instant=DUE)).steps
    assert isinstance(decision, Decision)
    return decision


def id_of(name: str, tick: Tick, now: datetime = NOW) -> str:
    return tick_event(name, tick, now).id


@given(instants)
def test_a_tick_is_the_same_event_whoever_makes_it_and_when(instant: datetime) -> None:
    """Nor does it matter how many it stands for, or whether it merges."""
    ticks = [Tick(instant=instant), Tick(instant=instant, missed=7), Tick(instant=instant, alone=True)]
    ids = {id_of("nightly", tick, now) for tick in ticks for now in (NOW, instant, NOW + 7 * HOUR)}

    assert len(ids) == 1


def test_the_id_of_a_tick_never_changes() -> None:
    """Two versions side by side, or one after the other, make one event of it."""
    assert id_of("nightly", Tick(instant=DUE)) == "01a31b5d-5b00-715e-b108-3c7a9e08748d"


@given(instants)
def test_the_id_of_a_tick_tells_its_time(instant: datetime) -> None:
    """It is a UUIDv7, sorted among the ids of its time."""
    made = UUID(id_of("nightly", Tick(instant=instant)))

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == (instant - utc("1970-01-01T00:00Z")) // timedelta(milliseconds=1)


def test_ticks_of_different_schedules_or_instants_are_different() -> None:
    instant_by_instant = {id_of("nightly", Tick(instant=DUE + n * timedelta.resolution)) for n in range(1000)}
    name_by_name = {id_of(name, Tick(instant=DUE)) for name in NAMES}

    assert (len(instant_by_instant), len(name_by_name)) == (1000, 1000)


def test_ticks_that_are_counted_are_different_at_the_same_instant() -> None:
    assert len({id_of("always", Tick(instant=DUE, number=1)) for _ in range(100)}) == 100


def test_a_tick_says_what_it_is() -> None:
    made = tick_event("nightly", Tick(instant=DUE, missed=3), NOW)

    assert (made.source, made.subject, made.type) == ("nightly", "nightly", "gateway.tick")
    assert (made.time, made.received_at) == (DUE, NOW)
    assert made.data == {"schedule": "nightly", "scheduled_for": "2027-01-15T22:00:00Z", "missed": 3}
    assert orjson.loads(made.body) == made.data


def test_what_is_requested() -> None:
    request = requested(
        Tick(instant=DUE, missed=3), payload={"full": True}, expires="3h", fresh_for="2h"
    )  # fmt: skip

    assert (request.target, request.schedule, request.trigger) == ("sync", "nightly", None)
    assert (request.key, request.until, request.payload) == ("nightly", Until.STARTED, b'{"full":true}')
    assert (request.scheduled_for, request.missed, request.due_at) == (DUE, 3, DUE)
    assert (request.expires_at, request.fresh_for) == (DUE + 3 * HOUR, 2 * HOUR)


def test_payload_and_key_see_the_event() -> None:
    request = requested(
        payload={"for": "{{ event.data.scheduled_for }}", "now": "{{ now() }}", "missed": "{{ event.data.missed }}"},
        once={"key": "{{ event.source }}/{{ event.time.hour }}"},
    )

    assert request.key == "nightly/22"
    assert orjson.loads(request.payload) == {
        "for": "2027-01-15T22:00:00Z",
        "now": "2027-01-15T22:00:02+00:00",
        "missed": 0,
    }


@pytest.mark.parametrize(
    ("overlap", "key", "until"),
    [
        ("queue", "nightly", Until.STARTED),
        ("skip", "nightly", Until.FINISHED),
        ("allow", None, None),
        ("cancel_running", "nightly", Until.STARTED),
    ],
)
def test_x07_what_overlap_means_for_the_key(overlap: str, key: str | None, until: Until | None) -> None:
    request = requested(overlap=overlap)

    assert (request.key, request.until) == (key, until)


@pytest.mark.parametrize("overlap", ["queue", "skip", "allow", "cancel_running"])
def test_one_that_is_alone_merges_with_none(overlap: str) -> None:
    assert requested(Tick(instant=DUE, alone=True), overlap=overlap).until is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"payload": {"a": "{{ event.nothing }}"}}, "payload: "),
        ({"payload": {"a": "{{ 1 / 0 }}"}}, "payload: "),
        ({"once": {"key": "{{ event.data.nothing }}"}}, "once.key: "),
        ({"once": {"key": "  "}}, "once.key: is empty"),
        ({"once": {"key": "k" * 501}}, "once.key: is longer than 500 characters"),
        ({"once": {"key": "{{ '\0' }}"}}, "once.key: has a NUL"),
    ],
)
def test_what_fails_to_render_is_a_decision_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    decision = refused(**fields)

    assert (decision.trigger, decision.decision) == (None, Verb.ERROR)
    assert decision.reason is not None
    assert decision.reason.startswith(reason)


def test_a_template_that_fails_does_not_keep_the_listeners_from_it() -> None:
    listener = Trigger.model_validate({"on": "nightly", "target": "report"})
    first, second = planned(schedule(payload={"a": "{{ event.no }}"}), Tick(instant=DUE), ("after", listener)).steps

    assert isinstance(first, Decision)
    assert isinstance(second, Request)
    assert (second.trigger, second.target) == ("after", "report")


def test_what_comes_through_the_api_is_no_template() -> None:
    fields = literal({"cron": "@daily", "target": "sync", "payload": {"a": "{{ x }}"}, "once": {"key": "{{ y }}"}})
    (request,) = planned(Schedule.model_validate(fields), Tick(instant=DUE)).requests

    assert (request.key, orjson.loads(request.payload)) == ("{{ y }}", {"a": "{{ x }}"})


def test_triggers_that_listen_to_it_are_planned_after_its_own_request() -> None:
    filtered = Trigger.model_validate({"on": "nightly", "when": "event.data.missed > 0", "target": "report"})
    wanted = Trigger.model_validate({"on": {"source": "nightly", "type": "gateway.*"}, "target": "report"})
    steps = planned(schedule(), Tick(instant=DUE), ("late", filtered), ("each", wanted)).steps

    assert [step.trigger for step in steps] == [None, "late", "each"]
    assert [type(step) for step in steps] == [Request, Decision, Request]


def test_without_a_target_it_is_only_a_source() -> None:
    silent = Schedule.model_validate({"cron": "@daily"})
    listener = Trigger.model_validate({"on": "nightly", "target": "report"})

    assert planned(silent, Tick(instant=DUE)).steps == ()
    assert [request.trigger for request in planned(silent, Tick(instant=DUE), ("each", listener)).requests] == ["each"]


def test_it_runs_in_the_lane_of_its_target() -> None:
    (request,) = planned(
        schedule(payload={"site": "ams"}), Tick(instant=DUE), sync=Template("{{ payload.site }}")
    ).requests  # fmt: skip

    assert request.lane == "ams"


@given(instants, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(NAMES))
def test_jitter_is_within_its_bounds_and_always_the_same(instant: datetime, most: timedelta, name: str) -> None:
    assert timedelta(0) <= jitter(name, instant, most) <= most
    assert jitter(name, instant, most) == jitter(name, instant, most)


def test_t08_jitter_spreads_schedules_evenly() -> None:
    """A thousand at :00 over ten minutes: each minute gets about a hundred."""
    minutes = [jitter(name, DUE, timedelta(minutes=10)) // timedelta(minutes=1) for name in NAMES]

    assert all(60 <= minutes.count(minute) <= 140 for minute in range(10))


def test_jitter_differs_from_one_tick_to_the_next() -> None:
    assert len({jitter("nightly", DUE + n * HOUR, HOUR) for n in range(100)}) == 100


def test_jitter_moves_the_start_and_nothing_else() -> None:
    plain, moved = requested(expires="3h"), requested(expires="3h", jitter="1h")

    assert moved.due_at == DUE + jitter("nightly", DUE, HOUR)
    assert moved.due_at > DUE
    assert (moved.scheduled_for, moved.expires_at) == (plain.scheduled_for, plain.expires_at)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 5), (1, 30), (2, 60), (3, 120), (5, 480), (6, 600), (1_000_000, 600)]
)
def test_a_continuous_schedule_that_fails_pauses_as_a_breaker_does(failures: int, seconds: int) -> None:
    always = Schedule.model_validate({"continuous": True, "target": "sync", "pause": "5s"})

    assert pause_before_the_next(always, failures, Breaker()) == timedelta(seconds=seconds)


def test_it_never_pauses_for_less_than_it_says() -> None:
    always = Schedule.model_validate({"continuous": True, "target": "sync", "pause": "1d"})

    assert {pause_before_the_next(always, failures, Breaker()) for failures in range(9)} == {timedelta(days=1)}
