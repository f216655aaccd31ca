"""Templates as promised: what they see, what type they keep, and what they say when something is missing."""

from datetime import datetime
from typing import Any

import orjson
import pytest

from gateway.core.errors import TemplateError
from gateway.core.template import Expression, Template
from tests.core.samples import DEVICE_EVENT, NOW, seen

SEEN = seen(event=DEVICE_EVENT)


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


def test_what_templates_see_is_left_as_it_was() -> None:
    before = orjson.dumps(DEVICE_EVENT)
    rendered("{{ event.data.list | sort }}{{ event.data.list | reverse | list }}{{ event.data | dictsort }}")

    assert orjson.dumps(DEVICE_EVENT) == before


def test_the_same_template_and_data_always_give_the_same() -> None:
    template = Template("{{ event.data | tojson }}{{ now() }}{{ event.data.list | map('string') }}")

    assert len({template.render(SEEN) for _ in range(5)}) == 1
    assert isinstance(rendered("{{ now() }}"), datetime)
