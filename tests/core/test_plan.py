"""From an event to decisions and requests: each trigger for itself, whatever the others do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event import MAX_DEPTH, Cause, Event
from gateway.core.once import Until
from gateway.core.plan import MAX_ITEMS, MAX_KEY, plan
from gateway.core.request import Decision, Priority, Request, Verb
from gateway.core.template import Template
from gateway.core.trigger import Trigger
from tests.core.samples import NOW, event, trigger

DEVICE = event(object={"site": {"slug": "ams"}}, data={"names": ["a", "b"], "id": 7}, changed=("status",))


def steps(*triggers: Trigger, of: Event = DEVICE, **lanes: str) -> list[Decision | Request]:
    named = [(f"t{i}", one) for i, one in enumerate(triggers)]
    return list(plan(of, named, {name: Template(source) for name, source in lanes.items()}, NOW).steps)


def request(one: Trigger, **lanes: str) -> Request:
    (step,) = steps(one, of=DEVICE, **lanes)
    assert isinstance(step, Request), step
    return step


def decision(one: Trigger, of: Event = DEVICE, **lanes: str) -> Decision:
    (step,) = steps(one, of=of, **lanes)
    assert isinstance(step, Decision), step
    return step


def test_a_trigger_that_fires_makes_a_request() -> None:
    made = request(trigger(payload={"site": "{{ event.object.site.slug }}"}, when="'status' in event.changed"))

    assert (made.trigger, made.target, orjson.loads(made.payload)) == ("t0", "proxbox", {"site": "ams"})
    assert (made.key, made.until, made.lane, made.due_at, made.schedule) == (None, None, None, None, None)
    assert made.priority is Priority.NORMAL


def test_a_trigger_without_payload_gives_an_empty_one() -> None:
    assert request(trigger()).payload == b"{}"


def test_the_default_key_is_the_name_of_the_trigger() -> None:
    assert (request(trigger(once={})).key, request(trigger(once={})).until) == ("t0", Until.STARTED)


def test_key_debounce_and_hold_are_handed_on() -> None:
    once = {"key": "{{ event.object.site.slug }}", "until": "10m"}
    made = request(trigger(once=once, debounce="30s", max_wait="5m"))

    assert (made.key, made.until) == ("ams", timedelta(minutes=10))
    assert (made.debounce, made.max_wait) == (timedelta(seconds=30), timedelta(minutes=5))


@pytest.mark.parametrize(("key", "expected"), [("{{ event.data.id }}", "7"), (7, "7"), ("full", "full")])
def test_a_key_is_a_text(key: Any, expected: str) -> None:
    assert request(trigger(once={"key": key})).key == expected


def test_per_key_sees_the_payload() -> None:
    one = trigger(payload={"project": "{{ event.object.site.slug }}"})

    assert request(one, proxbox="{{ payload.project }}-{{ event.data.id }}").lane == "ams-7"
    assert request(one, other="{{ payload.project }}").lane is None


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"on": {"source": "netbox", "type": "other"}}, "on: does not match type netbox.dcim.device.updated"),
        ({"when": "event.data.id == 8"}, "when: event.data.id == 8 is false"),
        ({"for_each": {"name": []}}, "for_each: there are no items"),
        ({"for_each": {"name": ["a"], "other": []}}, "for_each: there are no items"),
    ],
)
def test_p7_what_does_not_fire_says_why(keys: dict[str, Any], reason: str) -> None:
    said = decision(trigger(**keys))

    assert (said.trigger, said.decision, said.reason, said.run_id) == ("t0", Verb.FILTERED, reason, None)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"when": "event.object.nope == 1"}, "when: event.object.nope is undefined; there are: site"),
        ({"when": "event.data.id / 0"}, "when: division by zero"),
        ({"when": "event.type.isupper"}, "when: isupper is a function: call it with ()"),
        ({"once": {"key": "{{ event.object.nope }}"}}, "once.key: event.object.nope is undefined"),
        ({"once": {"key": ""}}, "once.key: is empty"),
        ({"once": {"key": "{{ event.subject }}"}}, "once.key: is empty"),
        ({"once": {"key": " {{ '' }}\n"}}, "once.key: is empty"),
        ({"once": {"key": "a" * (MAX_KEY + 1)}}, "once.key: is longer than 500 characters"),
        ({"once": {"key": "a\0b"}}, "once.key: has a NUL"),
        ({"once": {"key": "{{ '\\ud800' }}"}}, "once.key: has a NUL or half a surrogate pair"),
        ({"once": {"key": "{{ event.type.upper }}"}}, "once.key: upper is a function"),
        ({"payload": {"a": "{{ event.nope }}"}}, "payload: event.nope is undefined"),
        ({"payload": {"a": ["{{ [event.nope] }}"]}}, "payload: event.nope is undefined"),
        ({"payload": {"a": "{{ 2**62 * 4 }}"}}, "payload: Integer exceeds 64-bit range"),
        ({"payload": {"a": "{{ {1: 2} }}"}}, "payload: Dict key must be str"),
        ({"payload": {"a": "{{ '\\ud800' }}"}}, "payload: str is not valid UTF-8"),
        ({"for_each": {"a": "{{ event.nope }}"}}, "for_each: event.nope is undefined"),
        ({"for_each": {"a": "{{ event.data.id }}"}}, "for_each: expected {name: list}"),
        ({"for_each": ["a"]}, "for_each: expected {name: list}"),
        ({"for_each": {"a": list(range(40)), "b": list(range(40))}}, "for_each: more than 1000 items"),
    ],
)
def test_p7_what_fails_is_an_error_with_its_reason(keys: dict[str, Any], reason: str) -> None:
    said = decision(trigger(**keys))

    assert said.decision is Verb.ERROR
    assert (said.reason or "").startswith(reason)


@pytest.mark.parametrize(
    ("lane", "reason"), [("{{ payload.nope }}", "payload.nope is undefined"), ("{{ '' }}", "is empty")]
)
def test_a_broken_key_of_the_target_is_an_error_too(lane: str, reason: str) -> None:
    said = decision(trigger(), proxbox=lane)

    assert said.decision is Verb.ERROR
    assert (said.reason or "").startswith(f"per_key.key: {reason}")


def test_a_key_may_be_as_long_as_promised() -> None:
    assert request(trigger(once={"key": "a" * MAX_KEY})).key == "a" * MAX_KEY


def test_for_each_makes_a_request_for_every_combination() -> None:
    one = trigger(
        for_each={"name": "{{ event.data.names }}", "n": [1, 2]},
        once={"key": "{{ item.name }}{{ item.n }}"},
        payload={"name": "{{ item.name }}", "n": "{{ item.n }}"},
    )

    made = [step for step in steps(one) if isinstance(step, Request)]

    assert [step.key for step in made] == ["a1", "a2", "b1", "b2"]
    assert orjson.loads(made[3].payload) == {"name": "b", "n": 2}
    assert len({step.run_id for step in made}) == 4


def test_for_each_may_be_one_template() -> None:
    one = trigger(for_each="{{ {'name': event.data.names} }}", once={"key": "{{ item.name }}"})

    assert [step.key for step in steps(one) if isinstance(step, Request)] == ["a", "b"]


def test_an_item_that_fails_does_not_disturb_the_others() -> None:
    one = trigger(for_each={"n": [1, 0, 2, 3]}, when="6 / item.n >= 3", once={"key": "{{ item.n }}"})

    assert [step.key if isinstance(step, Request) else step.decision for step in steps(one)] == [
        "1",
        Verb.ERROR,
        "2",
        Verb.FILTERED,
    ]


def test_as_many_items_as_promised_are_all_asked_for() -> None:
    assert len(steps(trigger(for_each={"n": list(range(MAX_ITEMS))}))) == MAX_ITEMS


def test_a_shadow_decides_and_requests_nothing() -> None:
    plain = decision(trigger(mode="shadow"))
    keyed = decision(trigger(mode="shadow", once={"key": "{{ event.object.site.slug }}"}))

    assert (plain.decision, plain.reason) == (Verb.SHADOW, "would request proxbox")
    assert (keyed.decision, keyed.reason) == (Verb.SHADOW, "would request proxbox with key 'ams'")


@pytest.mark.parametrize(
    ("keys", "verb"), [({"when": "false"}, Verb.FILTERED), ({"payload": {"a": "{{ event.nope }}"}}, Verb.ERROR)]
)
def test_a_shadow_errs_and_filters_as_the_real_one_would(keys: dict[str, Any], verb: Verb) -> None:
    assert decision(trigger(mode="shadow", **keys)).decision is verb


def caused(by: str | None = "other", depth: int = 1) -> Event:
    cause = Cause(run_id="r", trigger=by, origin_event_id="first", depth=depth)
    return event(source="gateway", type="gateway.run.succeeded", data={"target": "build"}, cause=cause)


def test_a_trigger_never_matches_an_event_of_its_own_run() -> None:
    said = decision(trigger(on={"run": "build"}), of=caused(by="t0"))

    assert (said.decision, said.reason) == (Verb.FILTERED, "the event was caused by a run of this trigger")


def test_other_triggers_do() -> None:
    assert isinstance(steps(trigger(on={"run": "build"}), of=caused())[0], Request)
    assert isinstance(steps(trigger(on={"run": "build"}), of=caused(by=None))[0], Request)


@pytest.mark.parametrize(("depth", "fires"), [(1, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False), (100, False)])
def test_a_chain_deeper_than_eight_is_refused_and_recorded(depth: int, fires: bool) -> None:
    (step,) = steps(trigger(on={"run": "build"}), of=caused(depth=depth))

    assert isinstance(step, Request) == fires
    assert fires or (isinstance(step, Decision) and step.decision is Verb.ERROR and "8 runs" in (step.reason or ""))


def test_now_is_the_time_of_the_plan() -> None:
    assert orjson.loads(request(trigger(payload={"at": "{{ now() }}"})).payload) == {"at": "2026-11-21T10:30:00+00:00"}


TRIGGERS = [
    trigger(),
    trigger(once={}, when="event.data.id > 5"),
    trigger(when="event.data.nope"),
    trigger(once={"key": "{{ event.data.id }}"}, payload={"x": "{{ event.data }}"}),
    trigger(once={"key": "{{ event.subject }}"}),
    trigger(payload={"x": "{{ event.data.id / 0 }}"}),
    trigger(for_each={"n": "{{ event.data.names }}"}, payload={"n": "{{ item.n | upper }}"}),
    trigger(for_each={"n": "{{ event.data.id }}"}),
    trigger(mode="shadow"),
    trigger(on={"source": "netbox", "type": "nothing"}),
    trigger(when="range(9999) | map('default', range(9999) | list) | list"),
]
json_scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
bodies = st.fixed_dictionaries(
    {}, optional={"id": json_scalars, "names": st.lists(json_scalars, max_size=3), "nope": json_scalars}
)


def comparable(step: Decision | Request) -> Decision | Request:
    return replace(step, run_id="r")


@given(st.lists(st.sampled_from(TRIGGERS), max_size=5), bodies)
def test_p7_every_trigger_decides_as_it_would_alone(triggers: list[Trigger], data: dict[str, Any]) -> None:
    named = [(f"t{i}", one) for i, one in enumerate(triggers)]
    together = plan(event(data=data), named, {}, NOW).steps
    alone = [step for one in named for step in plan(event(data=data), [one], {}, NOW).steps]

    assert list(map(comparable, together)) == list(map(comparable, alone))


@given(st.lists(st.sampled_from(TRIGGERS), max_size=5), bodies)
def test_the_same_event_always_makes_the_same_plan(triggers: list[Trigger], data: dict[str, Any]) -> None:
    one = event(data=data)
    before = orjson.dumps(one.data)

    assert list(map(comparable, steps(*triggers, of=one))) == list(map(comparable, steps(*triggers, of=one)))
    assert orjson.dumps(one.data) == before


@given(st.lists(st.sampled_from(TRIGGERS), max_size=5), bodies)
def test_p7_every_trigger_is_accounted_for(triggers: list[Trigger], data: dict[str, Any]) -> None:
    made = steps(*triggers, of=event(data=data))

    assert {step.trigger for step in made} == {f"t{i}" for i in range(len(triggers))}
    assert all(isinstance(step, Request) or step.reason for step in made)
