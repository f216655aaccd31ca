"""What templates see of an event is all that design names, and nothing else."""

from gateway.core.event import Cause
from tests.core.samples import NOW, event


def test_templates_see_the_parts_of_an_event() -> None:
    one = event(changed=("status",), headers={"x-a": "1"}, object={"id": 1}, sender_id="s", subject="dcim/7")

    seen = one.context()
    assert seen.pop("origin") == seen
    assert seen == {
        "id": one.id,
        "sender_id": "s",
        "source": "netbox",
        "type": "netbox.dcim.device.updated",
        "subject": "dcim/7",
        "time": NOW,
        "received_at": NOW,
        "data": {},
        "object": {"id": 1},
        "changed": ["status"],
        "headers": {"x-a": "1"},
    }


def test_changed_is_always_a_list() -> None:
    assert event().context()["changed"] == []


def test_the_origin_of_a_chain_is_its_first_event_as_a_whole() -> None:
    first = event(data={"sha": "c0ffee"})
    caused = event(cause=Cause(run_id="r", trigger="t", origin_event_id=first.id, depth=3), origin=first)

    assert caused.context()["origin"] == {name: value for name, value in first.context().items() if name != "origin"}


def test_an_origin_that_has_been_forgotten_is_none() -> None:
    caused = event(cause=Cause(run_id="r", trigger="t", origin_event_id="first", depth=3))

    assert caused.context()["origin"] is None
