"""An explanation is the plan, with what its templates saw."""

from typing import Any

import orjson

from gateway.core.explanation import Finding, explain
from gateway.core.plan import plan
from gateway.core.request import Request, Verb
from gateway.core.template import Template
from gateway.core.trigger import Trigger
from tests.core.samples import NOW, event, trigger

DEVICE = event(object={"site": {"slug": "ams"}}, data={"names": ["a", "b"], "id": 7}, changed=("status",))


def findings(**triggers: Trigger) -> list[Finding]:
    return explain(DEVICE, triggers.items(), {"proxbox": Template("{{ payload.lane }}")}, NOW)


def only(**keys: Any) -> Finding:
    (finding,) = findings(one=trigger(payload={"lane": "l"}, **keys))
    return finding


def test_what_fires_is_explained_by_what_made_it_fire() -> None:
    finding = only(when="'status' in event.changed", once={"key": "{{ event.object.site.slug }}"})

    assert finding.decision is None
    assert finding.request is not None
    assert (finding.request.key, finding.request.lane) == ("ams", "l")
    assert [(one.expression, one.value) for one in finding.operands] == [
        ("'status' in event.changed", True),
        ("event.changed", ["status"]),
    ]


def test_what_does_not_fire_is_explained_by_what_kept_it() -> None:
    finding = only(when="event.data.id == 8")

    assert finding.decision is not None
    assert finding.decision.decision is Verb.FILTERED
    assert ("event.data.id", 7) in [(one.expression, one.value) for one in finding.operands]


def test_a_condition_that_was_not_looked_at_has_no_operands() -> None:
    finding = only(on={"source": "netbox", "type": "other.*"}, when="event.data.id == 8")

    assert (finding.operands, finding.request) == ((), None)


def test_a_trigger_in_shadow_shows_the_request_that_it_would_make() -> None:
    finding = only(mode="shadow", once={})

    assert finding.decision is not None
    assert finding.decision.decision is Verb.SHADOW
    assert finding.request is not None
    assert orjson.loads(finding.request.payload) == {"lane": "l"}


def test_each_item_is_explained_by_itself() -> None:
    each = {"name": "{{ event.data.names }}"}
    made = findings(one=trigger(for_each=each, when="item.name == 'b'", payload={"lane": "{{ item.name }}"}))

    assert [one.item for one in made] == [{"name": "a"}, {"name": "b"}]
    assert [one.request is not None for one in made] == [False, True]
    assert [one.operands[1].value for one in made] == ["a", "b"]


def test_an_event_that_was_rejected_is_explained_by_its_rejection() -> None:
    (finding,) = explain(event(rejection="no JSON"), [("one", trigger())], {}, NOW)

    assert finding.trigger is None
    assert finding.decision is not None
    assert finding.decision.reason == "no JSON"


def test_explaining_and_doing_agree() -> None:
    triggers = {
        "fires": trigger(payload={"lane": "x"}),
        "filtered": trigger(when="false"),
        "broken": trigger(when="event.nope.nope"),
        "shadow": trigger(mode="shadow", payload={"lane": "x"}),
        "none": trigger(for_each={"name": []}),
        "each": trigger(for_each={"name": ["a", "b"]}, payload={"lane": "{{ item.name }}"}),
    }
    lanes = {"proxbox": Template("{{ payload.lane }}")}
    done = plan(DEVICE, triggers.items(), lanes, NOW).steps

    assert [one.decision or (one.request and one.request.payload) for one in findings(**triggers)] == [
        step.payload if isinstance(step, Request) else step for step in done
    ]
