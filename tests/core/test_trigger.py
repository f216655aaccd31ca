"""A trigger's words: the forms of `on`, globs on types, and what is refused when the file is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.trigger import Trigger
from tests.core.samples import event, trigger

ENDED = {"run": {"id": "r"}, "trigger": "build", "schedule": None, "target": "builder"}


@pytest.mark.parametrize(
    ("on", "source", "kind", "expected"),
    [
        ("netbox", "netbox", "anything", True),
        ("netbox", "infrahub", "anything", False),
        ({"source": "netbox"}, "netbox", "anything", True),
        ({"source": "netbox", "type": "netbox.dcim.device.*"}, "netbox", "netbox.dcim.device.created", True),
        ({"source": "netbox", "type": "netbox.dcim.device.*"}, "netbox", "netbox.dcim.site.created", False),
        ({"source": "netbox", "type": "netbox.dcim.device.*"}, "infrahub", "netbox.dcim.device.created", False),
        ({"source": "netbox", "type": "*.created"}, "netbox", "netbox.dcim.site.created", True),
        ({"source": "netbox", "type": "*.created"}, "netbox", "netbox.dcim.site.created.x", False),
        ({"source": "netbox", "type": "a.?"}, "netbox", "a.b", True),
        ({"source": "netbox", "type": "a.?"}, "netbox", "a.bc", False),
        ({"source": "netbox", "type": "a.b"}, "netbox", "aXb", False),
        ({"source": "netbox", "type": "A.b"}, "netbox", "a.b", False),
        ({"source": "netbox", "type": ["a.*", "b.*"]}, "netbox", "b.c", True),
        ({"source": "netbox", "type": ["a.*", "b.*"]}, "netbox", "c.a.b", False),
        (["infrahub", "netbox"], "netbox", "x", True),
        (["infrahub", {"source": "netbox", "type": "a"}], "netbox", "b", False),
        ({"source": "gateway", "type": "gateway.target.*"}, "gateway", "gateway.target.paused", True),
    ],
)
def test_a_trigger_is_on_the_events_it_names(on: Any, source: str, kind: str, expected: bool) -> None:
    assert trigger(on=on).matches(event(source=source, type=kind)) is expected


@given(st.text(), st.text())
def test_a_type_without_wildcards_means_itself(one: str, other: str) -> None:
    if not set(one) & set("*?["):
        on = trigger(on={"source": "netbox", "type": one or "x"})

        assert on.matches(event(type=other)) == ((one or "x") == other)


@pytest.mark.parametrize(
    ("on", "kind", "expected"),
    [
        ({"run": "build"}, "gateway.run.succeeded", True),
        ({"run": "build"}, "gateway.run.failed", True),
        ({"run": "builder"}, "gateway.run.failed", True),
        ({"run": "other"}, "gateway.run.failed", False),
        ({"run": "build"}, "gateway.target.paused", False),
        ({"run": "build", "state": "succeeded"}, "gateway.run.succeeded", True),
        ({"run": "build", "state": "succeeded"}, "gateway.run.failed", False),
        ({"run": "build", "state": ["failed", "cancelled"]}, "gateway.run.cancelled", True),
        ({"run": "build", "state": ["failed", "cancelled"]}, "gateway.run.succeeded", False),
    ],
)
def test_a_trigger_is_on_the_end_of_runs(on: Any, kind: str, expected: bool) -> None:
    assert trigger(on=on).matches(event(source="gateway", type=kind, data=ENDED)) is expected


@pytest.mark.parametrize("data", [[], "build", 1, ["build"], {"target": {"build": 1}}])
def test_an_event_that_only_looks_like_the_end_of_a_run_matches_nothing(data: Any) -> None:
    assert not trigger(on={"run": "build"}).matches(event(source="gateway", type="gateway.run.failed", data=data))


def test_the_end_of_a_run_comes_from_the_gateway_alone() -> None:
    assert not trigger(on={"run": "build"}).matches(event(type="gateway.run.failed", data=ENDED))


def test_a_trigger_knows_to_which_sources_it_listens() -> None:
    both = trigger(on=["netbox", {"run": "build"}])

    assert [both.listens_to(name) for name in ("netbox", "gateway", "infrahub")] == [True, True, False]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"on": []}, "at least one source"),
        ({"on": {}}, "either source or run"),
        ({"on": {"type": "a"}}, "either source or run"),
        ({"on": {"source": "a", "run": "b"}}, "either source or run"),
        ({"on": {"source": "a", "state": "failed"}}, "state goes with run"),
        ({"on": {"run": "a", "type": "b"}}, "type goes with source"),
        ({"on": {"run": "a", "state": "succeded"}}, "expected cancelled, failed, succeeded"),
        ({"on": {"run": "a", "state": "superseded"}}, "expected cancelled, failed, succeeded"),
        ({"on": 7}, "on"),
        ({"debounce": "5s"}, "debounce needs once"),
        ({"once": {}, "max_wait": "5s"}, "max_wait needs debounce"),
        ({"once": {"until": "forever"}}, "expected a duration"),
        ({"once": {"until": 5}}, "expected a duration"),
        ({"once": {"key": "{{ evnt.id }}"}}, "unknown name 'evnt'"),
        ({"once": {"key": "{{ payload.id }}"}}, "unknown name 'payload'"),
        ({"when": "event.a ="}, "line 1"),
        ({"when": ""}, "expected one expression"),
        ({"when": "{{ event.a }}"}, "expression|expected"),
        ({"when": "response.status"}, "unknown name 'response'"),
        ({"payload": {"a": ["x", {"b": "{{ event. }}"}]}}, r"a\[1\]\.b: line 1"),
        ({"payload": {"a": "{{ item.x }}"}}, "item is known only with for_each"),
        ({"when": "item.x"}, "item is known only with for_each"),
        ({"once": {"key": "{{ item.x }}"}}, "item is known only with for_each"),
        ({"for_each": {"x": "{{ item.y }}"}}, "unknown name 'item'"),
        ({"mode": "dry"}, "shadow"),
        ({"targt": "x"}, "Extra inputs"),
    ],
)
def test_a_slip_is_found_when_the_file_is_read(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        trigger(**keys)


def test_a_trigger_has_a_target() -> None:
    with pytest.raises(ValidationError, match="target"):
        Trigger.model_validate({"on": "netbox"})


def test_the_whole_example_is_read_and_written_again() -> None:
    example = {
        "on": [{"source": "netbox", "type": "netbox.dcim.device.*"}],
        "when": "'status' in event.changed or event.type.endswith('.created')",
        "target": "proxbox",
        "payload": {"site": "{{ event.object.site.slug }}"},
        "once": {"key": "full", "until": "10m"},
        "debounce": "30s",
        "max_wait": "5m",
        "mode": "shadow",
    }

    read = Trigger.model_validate(example)

    assert read.model_dump(mode="json", exclude_unset=True) == example
    assert Trigger.model_validate(read.model_dump(mode="json", exclude_unset=True)) == read
    assert "properties" in Trigger.model_json_schema()
