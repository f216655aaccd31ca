"""What decided an expression: the parts that its value hangs on, and no others."""

from typing import Any

import pytest

from gateway.core import strict_json
from gateway.core.operands import MAX_OPERANDS, MAX_SHOWN, operands
from gateway.core.template import Expression
from tests.core.samples import DEVICE_EVENT, NOW, seen

TYPE = ("event.type", "netbox.dcim.device.created")
CHANGED = ("event.changed", ["status", "name"])


def decided(source: str, **names: Any) -> list[tuple[str, Any]]:
    found = operands(Expression(source), seen(event=DEVICE_EVENT, **names))
    return [(one.expression, one.value if one.error is None else f"!{one.error}") for one in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.type == 'x'", [("event.type == 'x'", False), TYPE]),
        ("'status' in event.changed", [("'status' in event.changed", True), CHANGED]),
        ("event.type.endswith('.created')", [("event.type.endswith('.created')", True), TYPE]),
        ("not event.data.ok", [("event.data.ok", True)]),
        ("event.time", [("event.time", NOW)]),
        ("event.data.list | length > 2", [("event.data.list | length > 2", True), ("event.data.list | length", 3)]),
        ("sha256(event.object.site.slug) == 'x' and oops", [("sha256(event.object.site.slug) == 'x'", False)]),
    ],
)
def test_each_part_is_shown_with_its_value(source: str, expected: list[tuple[str, Any]]) -> None:
    assert decided(source)[: len(expected)] == expected


def test_a_path_is_shown_whole_and_constants_are_not() -> None:
    names = [name for name, _ in decided("event.object.site.slug in ['ams', 'rtm'] and event.data['count'] > 2")]

    assert names == [
        "event.object.site.slug in ['ams', 'rtm']",
        "event.object.site.slug",
        "event.data['count'] > 2",
        "event.data['count']",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("t and f", ["f"]),
        ("f and t", ["f"]),
        ("f and g", ["f"]),
        ("t and u", ["t", "u"]),
        ("f or t", ["t"]),
        ("t or u", ["t"]),
        ("f or g", ["f", "g"]),
        ("not (t and f)", ["f"]),
        ("(f or g) and t", ["f", "g"]),
        ("t if u else f", ["u", "t"]),
        ("t if f else g", ["f", "g"]),
        ("t if f", ["f"]),
    ],
)
def test_only_what_settles_the_matter_is_shown(source: str, expected: list[str]) -> None:
    assert [name for name, _ in decided(source, t=True, u=True, f=False, g=False)] == expected


def test_what_fails_is_shown_with_its_error() -> None:
    failed = decided("event.object.nope == 1 and event.data.ok")

    assert [name for name, _ in failed] == ["event.object.nope == 1", "event.object.nope"]
    assert all(value.startswith("!event.object.nope is undefined") for _, value in failed)


def test_long_values_are_cut_off() -> None:
    [_, (name, value)] = decided("text == ''", text="ä" * 10_000)

    assert (name, len(value)) == ("text", MAX_SHOWN + 1)
    assert value.endswith("…")


@pytest.mark.parametrize("value", [2**70, "\ud800", {1: 2}, {"a": object()}])
def test_a_value_that_has_no_json_is_shown_as_text(value: Any) -> None:
    [(_, told)] = decided("not value", value=value)

    assert isinstance(told, str)
    assert strict_json.dump(told)


def test_no_more_are_shown_than_somebody_reads() -> None:
    source = f"[{', '.join(f'a + {number}' for number in range(100))}]"

    assert len(decided(f"{source} == []", a=1)) == MAX_OPERANDS
