"""What is written back from a tree means the same as what the tree was read from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from gateway.core import compiling
from gateway.core.errors import TemplateError
from gateway.core.notation import written
from gateway.core.template import Expression
from tests.core.samples import DEVICE_EVENT, seen

SEEN = seen(event=DEVICE_EVENT, a=2, b=3, c=True)


def tree(source: str) -> nodes.Expr:
    return compiling.expression(compiling.parse_expression(source))


@pytest.mark.parametrize(
    "source",
    [
        "event.object.site.slug",
        "'status' in event.changed",
        "event.type.endswith('.created') and 'name' not in event.changed",
        "a == 2 and b == 3 and c",
        "a == 1 or b == 3",
        "not c",
        "event.data.list | length > 2",
        "event.data.list | sort(reverse=True) | first == 3",
        "event.subject is none",
        "event.subject is not none",
        "event.data.list[0]",
        "event.data.list[1:]",
        "event.data['quote']",
        "(a + b) * 2",
        "a ~ '-' ~ b",
        "[a, b]",
        "{'a': a}",
        "(a, b) | list",
        "sha256('x')",
    ],
)
def test_an_expression_of_the_usual_kind_is_written_as_people_write_it(source: str) -> None:
    assert written(tree(source)).replace(" ", "") == source.replace(" ", "")


@pytest.mark.parametrize(
    "source",
    [
        "(a or c) and not (b == 3 and c)",
        "a - (b - 1)",
        "(a - b) - 1",
        "-a ** 2",
        "(-a) ** 2",
        "- a | abs",
        "(a - 5) | abs",
        "-(a | abs)",
        "(event.data.list | first).real is undefined",
        "(event.data.devices | first).name",
        "(event.changed | first).upper()",
        "(c is defined) == true",
        "not c is defined",
        "(not c) is defined",
        "a is defined and b is divisibleby 3",
        "1 if c else 2",
        "(1 if a == 1 else 2) + b",
        "'x' if not c",
        "event.data.list[::2]",
        "event.data.list[a - 2]",
        "a // 2 + b % 2 / 1",
        "1 < a < b",
        "(1 < a) < b",
        "'a' 'b'",
        r"'\n\'' ~ '\"' ~ 'é😀'",
        "(1,) | list",
        "[] or {} or ()",
        "range(*[1, 3]) | list",
        "'{{ a }}'",
        "none or false or 1.5 or 1e3",
        "event.data | dictsort | length",
    ],
)
def test_what_is_written_has_the_same_value(source: str) -> None:
    try:
        expected = Expression(source).evaluate(SEEN)
    except TemplateError:
        expected = None
        with pytest.raises(TemplateError):
            Expression(written(tree(source))).evaluate(SEEN)
        return

    assert Expression(written(tree(source))).evaluate(SEEN) == expected
    assert written(tree(written(tree(source)))) == written(tree(source))


FORMS = (
    *("({0}) + ({1})", "({0}) - ({1})", "({0}) ** ({1})", "({0}) ~ ({1})", "({0}) and ({1})", "({0}) or ({1})"),
    *("({0}) == ({1})", "({0}) not in ({1})", "1 < ({0}) <= ({1})", "not ({0})", "-({0})", "({0}) | first"),
    *("({0}) | default({1}, true)", "({0}) is defined", "({0}) is not sameas({1})", "({0}).name", "({0})[{1}]"),
    *("({0})[{1}:]", "({0}).call({1}, key={0})", "f(*({0}), **({1}))", "[{0}, {1}]", "({0},) | list", "{{'k': {0}}}"),
    *("({0}) if ({1}) else 2", "({0}) if ({1})"),
)
NESTED = st.recursive(
    st.sampled_from(["a", "b", "1", "'x'", "none", "event.x", "[]"]),
    lambda inner: st.builds(str.format, st.sampled_from(FORMS), inner, inner),
    max_leaves=8,
)


@given(NESTED)
def test_what_is_written_is_read_as_the_same_tree(source: str) -> None:
    assert tree(written(tree(source))) == tree(source)
