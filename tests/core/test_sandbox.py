"""S15: no template gets out of its data or uses up the machine; it is refused, or ends soon and small with an error."""

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from gateway.core.errors import TemplateError
from gateway.core.template import Expression, Template
from tests.core.samples import seen

MIB = 2**20
RENDER_SECONDS = 0.1
RSS_BYTES = 64 * MIB
BUSY = 2  # how much more processor time than promised a machine may take that runs other things as well

EVENT = {
    "big": "x" * MIB,
    "commas": "a," * (MIB // 2),
    "emoji": "\N{GRINNING FACE}" * 1000,
    "quote": '"\\',
    "list": list(range(100_000)),
    "words": ["w"] * 50_000,
    "lists": [[1]] * 50_000,
    "object": {"a": 1},
    "time": datetime(2026, 1, 1, tzinfo=UTC),
}


def loops(depth: int) -> str:
    return "".join(f"{{% for i{i} in range(9999) %}}" for i in range(depth)) + "x" + "{% endfor %}" * depth


def in_loop(source: str) -> str:
    return "{% for i in range(9999) %}" + source + "{% endfor %}"


def of_many(source: str, count: int) -> str:
    return "{{ [" + f"{source}, " * count + "] | length }}"


REFUSED = {
    "set": "{% set x = 1 %}{{ x }}",
    "set block": "{% set x %}a{% endset %}",
    "macro": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "call": "{% call x() %}{% endcall %}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'x' as y %}",
    "from": "{% from 'x' import y %}",
    "extends": "{% extends 'x' %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    "with": "{% with a = 1 %}{% endwith %}",
    "filter block": "{% filter upper %}x{% endfilter %}",
    "autoescape": "{% autoescape true %}x{% endautoescape %}",
    "do": "{% do event.list.append(1) %}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "four loops": loops(4),
    "a hundred loops": loops(100),
    "five hundred loops": loops(500),
    "self": "{{ self }}",
    "self in an expression": "{{ (1 and self).x }}",
    "deep parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "deep lists": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "deep mappings": "{{ " + "{1:" * 2000 + "1" + "}" * 2000 + " }}",
    "deep names": "{{ event" + ".a" * 5000 + " }}",
    "deep calls": "{{ event" + "()" * 5000 + " }}",
    "deep not": "{{ " + "not " * 3000 + "1 }}",
    "deep minus": "{{ " + "-" * 5000 + "1 }}",
    "deep filters": "{{ 1" + "|abs" * 3000 + " }}",
    "deep sums": "{{ 1" + "+1" * 5000 + " }}",
    "deep and": "{{ 1" + " and 1" * 2500 + " }}",
    "deep powers": "{{ 2" + "**2" * 2000 + " }}",
    "deep conditions": "{{ " + "1 if 1 else " * 1000 + "1 }}",
    "deep ifs": "{% if 1 %}" * 400 + "{% endif %}" * 400,
    "huge source": "x" * 20_000 + "{{ 1 }}",
    "braces": "{{" * 8000,
    **{
        name: f"{{{{ 'a' | {name} }}}}"
        for name in [
            "attr('__class__')",
            "center(10**9)",
            "format(1)",
            "indent(10**9)",
            "wordwrap(1)",
            "batch(10**9)",
            "slice(10**9)",
            "random",
            "pprint",
            "xmlattr",
            "safe",
            "urlize",
            "striptags",
            "filesizeformat",
            "forceescape",
            "escape",
            "wordcount",
            "nope",
        ]
    },
}

FAILING = {
    "repetition": "{{ 'a' * 10**9 }}",
    "repetition from the left": "{{ 10**9 * 'a' }}",
    "list repetition": "{{ [0] * 10**9 }}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "negative power": "{{ 10 ** -(10 ** 9) }}",
    "format operator": "{{ '%1000000000d' % 1 }}",
    "format method": "{{ '{:1000000000}'.format(1) }}",
    "format_map method": "{{ '{0.__class__}'.format_map(event) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "join method": "{{ ','.join(event.words) }}",
    "encode": "{{ 'a'.encode() }}",
    "class": "{{ ''.__class__ }}",
    "class as item": "{{ ''['__class__']['__mro__'] }}",
    "class by map": "{{ [''] | map(attribute='__class__') | list }}",
    "class by sort": "{{ ['', 'a'] | sort(attribute='__class__') }}",
    "class by join": "{{ [''] | join(attribute='__class__') }}",
    "class by selectattr": "{{ [''] | selectattr('__class__') | list }}",
    "class by groupby": "{{ [''] | groupby('__class__') }}",
    "class of a number": "{{ (1).real }}",
    "class of a list": "{{ [].__class__ }}",
    "append": "{{ event.list.append(1) }}",
    "globals": "{{ range.__globals__ }}",
    "globals of a function": "{{ sha256.__wrapped__.__globals__ }}",
    "code of a method": "{{ ''.replace.__func__ }}",
    "clock": "{{ now.__closure__ }}",
    "tzinfo": "{{ event.time.tzinfo }}",
    "loop": "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "loop cycle": "{% for x in [1] %}{{ loop.cycle }}{% endfor %}",
    "lipsum": "{{ lipsum(10**6) }}",
    "cycler": "{{ cycler.__init__ }}",
    "namespace": "{{ namespace() }}",
    "dict": "{{ dict(a=1) }}",
    "joiner": "{{ joiner() }}",
    "varargs": "{{ varargs }}{{ kwargs }}{{ caller() }}",
    "three loops": loops(3),
    "huge range": "{{ range(10**9) | list | length }}",
    "astronomic range": "{{ range(10**500) }}",
    "nested map": "{{ range(9999) | map('default', range(9999) | list) | list | length }}",
    "amplifying json": "{{ event.quote" + " | tojson" * 40 + " | length }}",
    "amplifying replace": "{{ 'a'" + " | replace('a', 'aaaaaaaaaa')" * 12 + " | length }}",
    "amplifying method": "{{ 'a'" + ".replace('a', 'aaaaaaaaaa')" * 12 + " | length }}",
    "amplifying with nothing": "{{ event.big | replace('', event.big) }}",
    "amplifying map": "{{ range(9999) | map('string') | map('replace', '', '" + "A" * 9000 + "') | list | length }}",
    "many replacements": of_many("event.big.replace('x', 'xy')", 300),
    "join with a large separator": "{{ range(9999) | join(event.big) }}",
    "concatenation": "{{ " + " ~ ".join(["event.big"] * 1000) + " }}",
    "sum of texts": "{{ " + " + ".join(["event.big"] * 50) + " }}",
    "many sums of texts": of_many("event.big + event.big", 600),
    "many lists": of_many("event.big | list", 800),
    "many splits": of_many("event.commas.split(',')", 500),
    "many joins": of_many("event.words | join('01234567890123456789')", 150),
    "many slices": of_many("event.big[1:]", 1000),
    "many copies": of_many("event.big.upper()", 600),
    "much output": "{{ event.big }}" * 1000,
    "much output in a loop": in_loop("{{ event.big }}"),
    "output of much json": in_loop("{{ event | tojson | length }}"),
    "hashes of texts": in_loop("{{ sha256(event.big) }}"),
    "hashes of mappings": in_loop("{{ event.words | sha256 }}"),
    "filters in a loop": in_loop("{{ event.big | upper | length }}"),
    "methods in a loop": in_loop("{{ event.big.count('xx') }}"),
    "searches in a loop": in_loop("{% if i in event.words %}1{% endif %}"),
    "comparisons in a loop": in_loop("{{ event.words == event.lists }}"),
    "maxima in a loop": in_loop("{{ event.list | max }}"),
    "quadratic select": "{{ event.list | select('in', event.list) | list | length }}",
    "quadratic sum": "{{ event.lists | sum(start=[]) }}",
    "much sorting": "{{ event.list" + " | sort" * 50 + " | length }}",
    "long loop": "{% for x in event.list %}{{ loop.length }}{% endfor %}",
    "titles": "{{ event.big" + " | title" * 50 + " | length }}",
    "division": "{{ 1 / 0 }}",
    "large power": "{{ ((10**9)**64)**2 }}",
}

HARMLESS = {
    "round": ("{{ 1.5 | round(10**9) }}", 1.5),
    "strftime padding": ("{{ event.time.strftime('%Y') }}", "2026"),
    "int of many digits": ("{{ event.big | int }}", 0),
    "int with a base": ("{{ 'zz' | int(base=36) }}", 1295),
    "no loop": ("{% for i in [] %}{{ i }}{% else %}none{% endfor %}", "none"),
    "a large text": ("{{ event.big ~ event.big }}", "x" * 2 * MIB),
    "large json": ("{{ (event.commas | tojson) == '\"' ~ event.commas ~ '\"' }}", True),
    "long comparison": ("{{ 1" + " < 1" * 2000 + " }}", False),
    "all words": ("{{ event.words | unique }}", ["w"]),
    "hash": ("{{ sha256(event.big) }}", "8f990ba0b577b51cf009ea049368c16bbda1b21e1b93be07a824758bb253c39b"),
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
def test_s15_what_could_bind_import_recurse_or_grow_is_refused_when_the_file_is_read(source: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"^(line \d|nested too deeply|longer than)"):
        Template(source)

    assert time.process_time() - began < 1


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
def test_s15_what_could_escape_or_use_up_the_machine_ends_soon_and_small_with_an_error(source: str) -> None:
    template = Template(source)
    seconds, grown = measured(lambda: fails(template))

    assert seconds < RENDER_SECONDS * BUSY
    assert grown < RSS_BYTES


@pytest.mark.parametrize(("source", "expected"), HARMLESS.values(), ids=HARMLESS)
def test_s15_what_only_looks_hostile_works(source: str, expected: Any) -> None:
    template = Template(source)
    seconds, grown = measured(lambda: template.render(seen(event=EVENT)) == expected or pytest.fail("another value"))

    assert seconds < RENDER_SECONDS * BUSY
    assert grown < RSS_BYTES


def measured(action: Callable[[], Any]) -> tuple[float, int]:
    """How many seconds of the processor an action takes, and by how many bytes the process grows in it."""
    process = psutil.Process()
    gc.collect()
    before, began = process.memory_info().rss, time.process_time()
    action()
    return time.process_time() - began, process.memory_info().rss - before


def fails(template: Template) -> None:
    with pytest.raises(TemplateError):
        template.text(seen(event=EVENT))


def test_s15_a_padded_date_is_no_larger_than_its_format() -> None:
    padded = Template("{{ event.time.strftime('%1000000000Y') }}")

    try:
        assert len(padded.text(seen(event=EVENT))) < 10_000
    except TemplateError:
        return


@pytest.mark.parametrize("source", ["event.big.replace('x', '01234567890')", "event.big | replace('x', '01234567890')"])
def test_s15_what_would_be_too_large_is_not_even_made(source: str) -> None:
    with pytest.raises(TemplateError, match="more than 8388608 characters"):
        Expression(source).evaluate(seen(event=EVENT))


def test_s15_the_work_of_one_template_is_not_charged_to_the_next() -> None:
    greedy = Template("{% for i in range(9999) %}{{ i }}{% endfor %}")

    assert len({greedy.render(seen(event=EVENT)) for _ in range(20)}) == 1


def test_s15_an_expression_is_bounded_as_a_template_is() -> None:
    with pytest.raises(TemplateError, match="multiplied"):
        Expression("'a' * 10**9").holds({})
    with pytest.raises(TemplateError, match="too much work"):
        Expression("event.list | select('in', event.list) | list").holds({"event": EVENT})


def test_s15_a_large_event_and_an_honest_template_are_no_attack() -> None:
    devices = [{"name": f"d{i}", "site": i % 50, "status": "active"} for i in range(2000)]
    context = seen(event={"data": {"devices": devices}})

    assert Template("{{ event.data.devices | map(attribute='site') | unique | list | length }}").render(context) == 50
    assert len(Template("{{ event.data | tojson }}").text(context)) > 80_000
    assert Template("{% for d in event.data.devices if d.status == 'active' %}{{ d.name }} {% endfor %}").text(context)
    assert (
        len(Template("{{ event.data.devices | selectattr('name', 'in', ['d1', 'd2']) | list }}").render(context)) == 2
    )
