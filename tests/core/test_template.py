"""Templates as promised: what they see, what type they keep, and what they say when something is missing."""

from datetime import datetime
from typing import Annotated, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gateway.core.errors import TemplateError
from gateway.core.template import Expression, Record, Template, Tree, sees
from tests.core.samples import NOW, seen

EVENT = {
    "type": "netbox.dcim.device.created",
    "changed": ["status", "name"],
    "object": {"id": 7, "site": {"slug": "ams"}, "tags": ["a", "b"], "items": 3, "keys": 4, "get": 5, "note": None},
    "data": {"ok": True, "count": 3, "list": [3, 1, 2], "quote": '"', "devices": [{"name": "a"}, {"name": "b"}]},
    "time": NOW,
    "subject": None,
}
SEEN = seen(event=EVENT)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def rendered(source: Any) -> Any:
    return Template(source).render(SEEN)


def evaluated(source: str) -> Any:
    return Expression(source).evaluate(SEEN)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ event.object.id }}", 7),
        ("{{ event.data.ok }}", True),
        ("{{ event.subject }}", None),
        ("{{ event.object.site }}", {"slug": "ams"}),
        ("{{ event.changed }}", ["status", "name"]),
        ("{{ event.time }}", NOW),
        ("{# why #}{{ event.data.count + 1 }}", 4),
        ("{{ event.object.id }}.", "7."),
        (" {{ event.object.id }}", " 7"),
        ("{{ event.object.id }}{{ event.data.count }}", "73"),
        ("{{ event.data.list | map('string') }}", ["3", "1", "2"]),
        ("{{ event.data.list | reverse }}", [2, 1, 3]),
        ("{{ event.data.devices | map(attribute='name') | join(',') }}", "a,b"),
        ("{{ event.data.devices | join('-', attribute='name') }}", "a-b"),
        ("{{ range(3) }}", [0, 1, 2]),
        ("of {{ event.data.list | select('odd') }}", "of [3, 1]"),
        ("{% if event.data.ok %}yes{% else %}no{% endif %}", "yes"),
        ("{% for d in event.data.devices %}{{ loop.index }}{{ d.name }} {% endfor %}", "1a 2b "),
        ("{% for name, value in event.object.site | items %}{{ name }}={{ value }}{% endfor %}", "slug=ams"),
        ("{% for name in event.object.site %}{{ name }}{% endfor %}", "slug"),
        ("line\n", "line\n"),
        ("{{ 'a' }}\n", "a\n"),
        ("a{{ 'b' if event.subject }}", "a"),
        ("plain", "plain"),
        ("", ""),
        (5, 5),
        (True, True),
        (None, None),
    ],
)
def test_a_template_that_is_the_whole_value_keeps_its_type(source: Any, expected: Any) -> None:
    value = rendered(source)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(("name", "value"), [("items", 3), ("keys", 4), ("get", 5)])
def test_on_mappings_a_name_is_the_item_and_never_a_method(name: str, value: int) -> None:
    assert evaluated(f"event.object.{name}") == value
    assert evaluated(f"event.object['{name}']") == value
    with pytest.raises(TemplateError, match=f"event.data.{name} is undefined"):
        evaluated(f"event.data.{name}()")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "nope is undefined"),
        ("nope.a.b", "nope is undefined"),
        ("event.nope", "event.nope is undefined; there are: type, changed, object, data, time, subject"),
        ("event.nope.a['b'].c", "event.nope is undefined; there are: type"),
        ("event['nope']", "event.nope is undefined"),
        ("event.subject.slug", "event.subject.slug is undefined: it would be in something that is null"),
        ("event.subject.slug.x", "event.subject.slug is undefined"),
        ("event.object.site.slug.x", "event.object.site.slug.x is undefined: a str has none"),
        ("event.changed[9]", "event.changed.9 is undefined: a list has none"),
        ("event.data.devices[0].nope", "event.data.devices.0.nope is undefined; there are: name"),
        ("event.nope == 1", "event.nope is undefined"),
        ("event.nope and true", "event.nope is undefined"),
        ("not event.nope", "event.nope is undefined"),
        ("event.nope in [1]", "event.nope is undefined"),
        ("1 in event.nope", "event.nope is undefined"),
        ("event.nope ~ 'a'", "event.nope is undefined"),
        ("event.nope + 1", "event.nope is undefined"),
        ("event.nope()", "event.nope is undefined"),
        ("event.nope | upper", "event.nope is undefined"),
        ("event.nope | tojson", "event.nope is undefined"),
        ("event.nope | list", "event.nope is undefined"),
        ("[event.nope]", "event.nope is undefined"),
        ("{'a': event.nope}", "event.nope is undefined"),
        ("event.data.devices | map(attribute='nope')", "nope is undefined; there are: name"),
        ("'a' if event.nope else 'b'", "event.nope is undefined"),
        ("event.type.upper", "upper is a function"),
        ("now", "is a function"),
        ("sha256", "is a function"),
        ("event.type + 1", "can only concatenate str"),
        ("1 / 0", "division by zero"),
    ],
)
def test_what_is_missing_is_an_error_that_names_the_first_missing_name(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        evaluated(source)
    assert message in str(error.value)

    with pytest.raises(TemplateError):
        rendered("a {{ " + source + " }}")
    with pytest.raises(TemplateError):
        rendered("{% if true %}{{ " + source + " }}{% endif %}")


def test_an_error_does_not_show_values() -> None:
    with pytest.raises(TemplateError) as error:
        Expression("event.token.x").evaluate({"event": {"password": "hunter2"}})

    assert "hunter2" not in str(error.value)


def test_an_error_is_short_however_large_the_event() -> None:
    with pytest.raises(TemplateError) as error:
        Expression("event.nope").evaluate({"event": {"k" * 1000 + str(i): 1 for i in range(1000)}})

    assert len(str(error.value)) <= 500


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.nope is defined", False),
        ("event.nope.a.b is defined", False),
        ("event.nope['a'][0] is defined", False),
        ("event.subject.a is defined", False),
        ("event.object.id is defined", True),
        ("event.nope | default('x')", "x"),
        ("event.nope.a | default('x')", "x"),
        ("event.subject or 'none'", "none"),
        ("'status' in event.changed or event.nope", True),
        ("event.type.endswith('.created')", True),
        ("event.object.id == 7 and event.data.ok", True),
        ("event.data.list | sum", 6),
        ("event.data.list | sort", [1, 2, 3]),
        ("event.data.devices | selectattr('name', 'in', ['a']) | list", [{"name": "a"}]),
        ("event.data.list | length == 3", True),
        ("2 ** 10 % 7 * 3 + 1", 7),
        ("event.type.split('.')[1:3]", ["dcim", "device"]),
        ("event.type.replace('.', '/').upper()", "NETBOX/DCIM/DEVICE/CREATED"),
        ("event.type | replace('.', '/') | length", 26),
        ("event.time.year", 2026),
        ("event.data.quote | tojson", '"\\""'),
        ("sha256('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("{'b': 1, 'a': 2} | sha256 == sha256({'a': 2, 'b': 1})", True),
        ("now() == event.time", True),
        ("'a' if event.subject", ""),
        ("now().isoformat()", "2026-11-21T10:30:00+00:00"),
        ("changed({'a': 1, 'b': 2, 'c': 3}, {'a': 1, 'b': 3, 'd': 4})", ["b", "c", "d"]),
        ("changed(none, {'a': 1})", []),
        ("[1.25 | round(1), 7 | round]", [1.2, 7]),
    ],
)
def test_an_expression_is_worth_what_jinja_says(source: str, expected: Any) -> None:
    assert evaluated(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"), [("event.data.ok", True), ("event.data.list[9:]", False), ("0", False)]
)
def test_whether_an_expression_holds(source: str, expected: bool) -> None:
    assert Expression(source).holds(SEEN) is expected


@pytest.mark.parametrize(
    ("source", "text"), [("{{ event.subject }}", ""), (7, "7"), (None, ""), ("{{ event.data.ok }}", "True")]
)
def test_as_text_nothing_is_the_empty_text(source: Any, text: str) -> None:
    assert Template(source).text(SEEN) == text


@pytest.mark.parametrize(
    "source",
    [
        "",
        " ",
        "{{ a }}",
        "a b",
        "a =",
        "a = 1",
        "a,",
        "a, b",
        "a) }}{{ (b",
        "a) }} and {{ (b",
        "a) }}{% if x %}{% endif %}{{ (b",
        "a) }}{% raw %}x{% endraw %}{{ (b",
        "a #}",
        "x | nope",
        "x is nope",
        "(",
        "'",
        5,
        None,
        ["a"],
    ],
)
def test_a_broken_expression_is_refused(source: Any) -> None:
    with pytest.raises(ValueError, match=r"line 1|expected"):
        Expression(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{",
        "{{ }}",
        "{% if %}",
        "{% if a %}",
        "{{ a | nope }}",
        "{# ",
        "{{ ''.x ~ a }}",
        "{{ ''.x and a }}",
        [],
        {},
        object(),
    ],
)
def test_a_broken_template_is_refused(source: Any) -> None:
    with pytest.raises(ValueError, match=r"line 1|expected|x is undefined"):
        Template(source)


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


def test_what_templates_see_is_left_as_it_was() -> None:
    before = orjson.dumps(EVENT)
    rendered("{{ event.data.list | sort }}{{ event.data.list | reverse | list }}{{ event.data | dictsort }}")

    assert orjson.dumps(EVENT) == before


names = st.sampled_from(
    ["event", "event.data", "event.object", "event.nope", "event.subject", "nope", "now", "range", "1", "''", "[1]"]
)
operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or"])
suffixes = st.sampled_from(
    [
        "",
        ".a",
        "[0]",
        "['x']",
        "[1:]",
        "()",
        "(1)",
        ".upper()",
        ".count(1)",
        "|list",
        "|first",
        "|map('upper')",
        "|sort",
        "|tojson",
        "|sum",
        "|join(',')",
        "|int",
        "|float",
        "|length",
        "|dictsort",
        "|groupby('a')",
        "|map(attribute='a')",
        " is defined",
        "|select('in', 1)",
        "|replace(1, 2)",
        "|round(event)",
        "|truncate('a')",
        "|default",
        "|sha256",
        "|items",
        "|unique",
        "|max",
    ]
)
terms = st.tuples(names, suffixes, suffixes).map("".join)
sources = st.tuples(terms, operators, terms).map(" ".join)


def errors_of(kind: type[Template | Expression], source: str, context: dict[str, Any]) -> list[str]:
    """What is said of a source, which may be refused or fail; any other exception comes through."""
    try:
        compiled = kind(source)
    except ValueError as error:
        return [str(error)]
    try:
        compiled.text(context) if isinstance(compiled, Template) else compiled.holds(context)
    except TemplateError as error:
        return [str(error)]
    return []


@given(sources, json_values)
def test_s20_a_template_raises_nothing_but_template_errors(source: str, data: Any) -> None:
    context = seen(event={"data": data, "object": data, "subject": None})
    said = errors_of(Expression, source, context)
    for template in (
        f"{{{{ {source} }}}}",
        f"a{{{{ {source} }}}}",
        f"{{% if {source} %}}{{{{ {source} }}}}{{% endif %}}",
    ):
        said += errors_of(Template, template, context)

    assert all(said)


@given(st.text(st.sampled_from("{}%#() |.'\"abif\n\\[]=+-*~,0"), max_size=40))
def test_s20_any_source_is_refused_or_rendered_or_an_error(source: str) -> None:
    assert all(errors_of(Template, source, SEEN) + errors_of(Expression, source, SEEN))


def test_the_same_template_and_data_always_give_the_same() -> None:
    template = Template("{{ event.data | tojson }}{{ now() }}{{ event.data.list | map('string') }}")

    assert len({template.render(SEEN) for _ in range(5)}) == 1
    assert isinstance(rendered("{{ now() }}"), datetime)
