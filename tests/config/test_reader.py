"""Strict YAML 1.2: what is read, and what is refused with its place."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.problem import Problem
from gateway.config.reader import MAX_ALIASED, MAX_DEPTH, UnreadableError, read, resolve
from gateway.config.tree import plain


def value_of(text: str) -> object:
    """The value of a plain scalar in a file, in which nothing is wrong."""
    problems: list[Problem] = []
    tree = read("a.yaml", f"key: {text}\n".encode(), None, problems)
    assert problems == []
    assert tree is not None
    return plain(tree)["key"]


def problem_of(raw: bytes) -> str:
    """What is wrong with a file of which nothing can be used."""
    with pytest.raises(UnreadableError) as caught:
        read("a.yaml", raw, None, [])
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1:2:3", "1:2:3"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("-7", -7),
        ("+7", 7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("0.0.0.0", "0.0.0.0"),
        ("2027-01-15", "2027-01-15"),
        ("2027-01-15T22:00:00+01:00", "2027-01-15T22:00:00+01:00"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("", None),
        ("~", None),
        ("null", None),
        ("None", "None"),
        ("=", "="),
        ("'true'", "true"),
        ('"8080"', "8080"),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_s18_plain_scalars_have_the_types_of_yaml_1_2(text: str, value: object) -> None:
    """What YAML 1.1 takes for booleans, base 60, octal numbers or dates is what it looks like."""
    read_value = value_of(text)

    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "9" * 5000, "1e999", "0x" + "f" * 17])
def test_numbers_that_fit_no_64_bits_are_refused(text: str) -> None:
    """They would not come back from a database as they went in; long ones would not even be read in time."""
    problems: list[Problem] = []
    read("a.yaml", f"key: {text}".encode(), None, problems)

    message = "a number that does not fit 64 bits; a text is put in quotes"
    assert problems == [Problem("a.yaml", 1, 6, "key", message)]


def test_s18_duplicate_keys_are_refused_with_both_places() -> None:
    problems: list[Problem] = []
    read("a.yaml", b"a:\n  b: 1\n  c: 2\n  b: 3\na: 4\n", None, problems)

    assert [str(problem) for problem in problems] == [
        "a.yaml:4:3: a.b: duplicate key, first in line 2",
        "a.yaml:5:1: a: duplicate key, first in line 1",
    ]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("!!python/object/apply:os.system [touch x]", "!!python/object/apply:os.system"),
        ("!!python/name:os.system", "!!python/name:os.system"),
        ("!!int 5", "!!int"),
        ("!secret x", "!secret"),
        ("! x", "!"),
        ("!!binary aGVsbG8=", "!!binary"),
    ],
)
def test_s18_tags_are_refused(text: str, tag: str) -> None:
    problems: list[Problem] = []
    read("a.yaml", f"a: {text}".encode(), None, problems)

    message = f"a.yaml:1:4: a: tags such as {tag} are not used here; a text is put in quotes"
    assert [str(problem) for problem in problems] == [message]


def test_s18_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    """Twelve lines that stand for 9^12 values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
    ]
    started = time.perf_counter()

    assert problem_of("\n".join(lines).encode()) == f"a.yaml:6:8: f.0: aliases stand for more than {MAX_ALIASED} values"
    assert time.perf_counter() - started < 2


def test_aliases_in_good_measure_are_fine() -> None:
    tree = read("a.yaml", b"a: &a {x: 1}\nb: [*a, *a]\n", None, [])

    assert tree is not None
    assert plain(tree) == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: &a [*a]", "a.yaml:1:8: a.0: the alias *a stands for nothing before it"),
        (b"a: *b", "a.yaml:1:4: a: the alias *b stands for nothing before it"),
        (b"[" * 100_000, f"a.yaml:1:66: nested deeper than {MAX_DEPTH} levels"),
        (b"{a: " * 100_000, f"a.yaml:1:261: nested deeper than {MAX_DEPTH} levels"),
        (b"- " * 100_000, f"a.yaml:1:131: nested deeper than {MAX_DEPTH} levels"),
        (b"? [a]\n: 1", "a.yaml:1:3: expected a text as key"),
        (b"? {a: 1}\n: 1", "a.yaml:1:3: expected a text as key"),
        (b"a: 1\n--- \nb: 2", "a.yaml:2:1: a second document; a configuration is one"),
        (b"a: [1, 2", "a.yaml:2:1: not YAML: did not find expected ',' or ']'"),
        (b"a: b: c", "a.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        (b"a:\n\tb: 1", "a.yaml:2:1: not YAML: found character that cannot start any token"),
        (b"a: 1\nb: 'x", "a.yaml:2:6: not YAML: found unexpected end of stream"),
        (b'a: "\\ud800"', "a.yaml:1:7: not YAML: found invalid Unicode character escape code"),
        (b"%YAML 3.0\n---\na: 1", "a.yaml:1:1: not YAML: found incompatible YAML document"),
        (b"a: 1\nb: \xe4", "a.yaml:2:4: not UTF-8"),
        ("a: 1".encode("utf-16"), "a.yaml:1:1: not UTF-8"),
        ("a: 1\nü: \x01".encode(), "a.yaml:2:4: not YAML: control characters are not allowed"),
        (b"a: 1\0", "a.yaml:1:5: not YAML: control characters are not allowed"),
    ],
)
def test_s18_what_is_no_yaml_is_refused_with_its_place(raw: bytes, message: str) -> None:
    started = time.perf_counter()

    assert problem_of(raw) == message
    assert time.perf_counter() - started < 2


def test_a_text_with_nul_is_refused() -> None:
    """No database would take it."""
    problems: list[Problem] = []
    read("a.yaml", b'a: "x\\0y"', None, problems)

    assert [str(problem) for problem in problems] == ["a.yaml:1:4: a: a text cannot hold the NUL character"]


@pytest.mark.parametrize("raw", [b"", b"# nothing\n", b"---\n", "\ufeff".encode()])
def test_a_file_may_say_nothing(raw: bytes) -> None:
    tree = read("a.yaml", raw, None, [])

    assert tree is None or plain(tree) is None


def test_a_byte_order_mark_is_not_a_part_of_the_first_key() -> None:
    tree = read("a.yaml", "\ufeffa: 1".encode(), None, [])

    assert tree is not None
    assert plain(tree) == {"a": 1}


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf\x00")
@example(b"a: !<")
@example(b"&a *a : b")
def test_whatever_is_read_is_a_tree_or_refused(raw: bytes) -> None:
    """Nothing else comes out of the reader, whatever goes in."""
    problems: list[Problem] = []
    try:
        read("a.yaml", raw, None, problems)
    except UnreadableError as error:
        problems.append(error.problem)

    assert all(problem.line and problem.column for problem in problems)


@given(st.integers(min_value=-(2**63), max_value=2**64 - 1))
def test_integers_are_read_as_they_are_written(number: int) -> None:
    assert resolve(str(number)) == number
