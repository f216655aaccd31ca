"""S20: whatever the source and the data, a template is refused, rendered, or ends with a `TemplateError`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import TemplateError
from gateway.core.template import Expression, Template
from tests.core.samples import DEVICE_EVENT, seen

SEEN = seen(event=DEVICE_EVENT)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


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
