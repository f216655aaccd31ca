"""Templates in company: trees and records of them, and as fields of a configuration."""

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gateway.core.errors import TemplateError
from gateway.core.template import Expression, Record, Template, Tree, sees
from tests.core.samples import DEVICE_EVENT, seen

SEEN = seen(event=DEVICE_EVENT)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_tree_renders_all_its_texts_and_keeps_the_rest() -> None:
    tree = Tree({"a": ["{{ event.object.id }}", 1, None, {"b": "x{{ event.data.count }}"}], "c": True, "d": 1.5})

    assert tree.render(SEEN) == {"a": [7, 1, None, {"b": "x3"}], "c": True, "d": 1.5}
    assert tree.names == {"event"}
    assert not tree.constant


@given(json_values)
def test_a_tree_without_templates_is_itself(value: Any) -> None:
    try:
        tree = Tree(value)
    except ValueError:
        return  # the text happened to be a broken template

    if tree.constant:
        assert tree.render({}) is value


def test_a_constant_function_is_not_mistaken_for_a_constant() -> None:
    tree = Tree({"a": "{{ sha256('a') }}"})

    assert not tree.constant
    assert tree.render(SEEN)["a"].startswith("ca97")


@pytest.mark.parametrize(
    ("source", "place"),
    [({"a": [1, {"b": "{{"}]}, "a[1].b: line 1"), ("{{", "line 1"), ({"a": object()}, "a: expected a text")],
)
def test_a_broken_tree_names_the_place(source: Any, place: str) -> None:
    with pytest.raises(ValueError, match=r"line|expected") as error:
        Tree(source)

    assert str(error.value).startswith(place)


def test_templates_rendered_together_give_what_each_gives_alone() -> None:
    templates = {
        "a": Template("{{ event.object.id }}"),
        "b": Template("x"),
        "c": Template("{% if 1 %}{{ now() }}{% endif %}"),
    }

    assert Record(templates).render(SEEN) == {name: template.render(SEEN) for name, template in templates.items()}


@pytest.mark.parametrize("broken", ["{{ event.nope }}", "{% if event.nope %}{% endif %}", "x{{ event.nope }}"])
def test_templates_rendered_together_name_the_one_that_fails(broken: str) -> None:
    record = Record({"a": Template("{{ event.type }}"), "b": Template(broken), "c": Template("{{ event.type }}")})

    with pytest.raises(TemplateError, match=r"^b: event.nope is undefined"):
        record.render(SEEN)


class Section(BaseModel):
    key: Annotated[Template, sees("event", "item")]
    when: Annotated[Expression, sees("event")] | None = None


def test_a_field_refuses_names_that_are_not_known_there() -> None:
    Section.model_validate({"key": "{{ event.id }}{{ item }}{{ now() }}{{ sha256(event) }}{{ range(3) }}"})

    with pytest.raises(ValidationError, match=r"unknown name 'evnt'; known here: event, item"):
        Section.model_validate({"key": "{{ evnt.id }}"})
    with pytest.raises(ValidationError, match=r"unknown name 'item'; known here: event"):
        Section.model_validate({"key": "a", "when": "item == 1"})
    with pytest.raises(ValidationError, match=r"unknown name 'loop'"):
        Section.model_validate({"key": "{{ loop.index }}"})


def test_a_field_writes_its_source_and_compares_by_it() -> None:
    section = Section.model_validate({"key": "{{ event.id }}", "when": "event.a"})

    assert section.model_dump(mode="json") == {"key": "{{ event.id }}", "when": "event.a"}
    assert section == Section.model_validate(section.model_dump())
    assert hash(section.key) == hash(Template("{{ event.id }}"))
    assert section.key != Template("{{ event.type }}")
    assert Section.model_json_schema()["properties"]["key"]["type"] == "string"
