"""JSON at the door: what passes can be stored and sent again, everywhere; what cannot is refused at once."""

import json
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import strict_json
from gateway.core.errors import Unparseable
from gateway.core.strict_json import MAX_DEPTH, canonical, dump, dump_strict, parse

MIB = 2**20
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


def nested(depth: int, inner: str = "") -> bytes:
    return ("[" * depth + inner + "]" * depth).encode()


@given(values)
def test_every_value_survives(value: Any) -> None:
    assert parse(dump(value)) == value
    assert parse(json.dumps(value).encode()) == value


def depth_of(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


def scalars_of(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *(scalar for child in value.values() for scalar in scalars_of(child))]
    return [scalar for child in value for scalar in scalars_of(child)] if isinstance(value, list) else [value]


fragments = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        '"',
        "\\",
        "\\u0000",
        "\\ud800",
        "\\udc00",
        "\\\\u0000",
        "\x00",
        "1e999",
        "-",
        ".",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "NaN",
        "null",
        " ",
        '"a"',
        "\ufeff",
        "é",
    ]
)


@given(st.binary() | st.lists(fragments).map("".join).map(str.encode) | values.map(dump))
@example(b'{"\\u0000": 1}')
def test_s20_what_is_accepted_is_harmless_and_all_else_is_unparseable(raw: bytes) -> None:
    try:
        value = parse(raw)
    except Unparseable:
        return

    assert parse(dump(value)) == value
    assert depth_of(value) <= MAX_DEPTH
    for scalar in scalars_of(value):
        assert not isinstance(scalar, str) or "\0" not in scalar.encode().decode()
        assert not isinstance(scalar, int) or -(2**63) <= scalar < 2**64


@pytest.mark.parametrize("opened", ["[", '{"a":'])
@pytest.mark.parametrize("inner", ["", "1"])
def test_s03_sixty_four_levels_are_accepted_and_no_more(opened: str, inner: str) -> None:
    closed = "]" if opened == "[" else "}"
    inner = inner if opened == "[" else inner or "{}"
    levels = MAX_DEPTH - (inner == "{}")

    dump(parse((opened * levels + inner + closed * levels).encode()))
    with pytest.raises(Unparseable, match="nested deeper than 64 levels"):
        parse((opened * (levels + 1) + inner + closed * (levels + 1)).encode())


@pytest.mark.parametrize("depth", [65, 254, 255, 1023, 1024, 1025, 100_000])
def test_s03_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(Unparseable):
        parse(nested(depth))
    with pytest.raises(Unparseable):
        parse(nested(depth, "1"))


def test_many_brackets_side_by_side_are_no_depth() -> None:
    assert len(parse(b"[" + b",".join([b"[[]]"] * 1000) + b"]")) == 1000
    assert parse(b'["' + b"[" * 1000 + b'"]') == ["[" * 1000]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"[18446744073709551616]",
        b"[-9223372036854775809]",
        b"[" + b"9" * 5000 + b"]",
        b'{"a": 99999999999999999999}',
        b"99999999999999999999",
        b'["\\u0000"]',
        b'{"a\\u0000": 1}',
        b'["a\0b"]',
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
        b'{"\\ud800": 1}',
        b'["\xff"]',
        b'["\xed\xa0\x80"]',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        "{}".encode("utf-32"),
        b"[1,]",
        b"{'a': 1}",
        b"[1] 2",
        b"[01]",
        b"[+1]",
        b"// a\n1",
        b"{}\0",
    ],
)
def test_s03_what_nobody_can_store_or_send_again_is_refused(raw: bytes) -> None:
    with pytest.raises(Unparseable) as refused:
        parse(raw)

    assert refused.value.status == 400
    assert refused.value.detail


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[0.1000000000000000055511151231257827]", [0.1]),
        (b"[1e-0000000000000000000001]", [0.1]),
        (b"[12345678901234567890.5]", [12345678901234567890.5]),
        (b"[12345678901234567890123e3]", [12345678901234567890123e3]),
        (b'["99999999999999999999"]', ["99999999999999999999"]),
        (b'["\\"99999999999999999999"]', ['"99999999999999999999']),
        (b'["\\\\", "\\"", "99999999999999999999"]', ["\\", '"', "99999999999999999999"]),
        (b'["\\\\u0000"]', ["\\u0000"]),
        (b'["\\ud83d\\ude00"]', ["\N{GRINNING FACE}"]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b" null\n", None),
    ],
)
def test_s03_what_only_looks_dangerous_is_accepted(raw: bytes, value: Any) -> None:
    assert parse(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * (MIB // 3) + b"1]",
        b"[" + b"1," * (MIB // 2) + b"1]",
        b'"' + b"a" * MIB + b'"',
        b'"' + b"\\\\" * (MIB // 2) + b'"',
        b'"' + b"[" * MIB + b'"',
        b'["' + b"1" * MIB + b'"]',
        b"[" + b"1234567890123456789," * (MIB // 20) + b"1]",
        b"[" * MIB,
        b'["\\u0000' + b"a" * MIB,
        b"1" * MIB,
        b'[9999999999999999999999,"' + b'\\"' * (MIB // 2),
    ],
    ids=lambda raw: raw[:12].decode(),
)
def test_s03_a_mebibyte_of_anything_takes_no_second(raw: bytes) -> None:
    began = time.process_time()
    with suppress(Unparseable):
        parse(raw)

    assert time.process_time() - began < 1


def test_the_order_of_keys_does_not_change_canonical_json() -> None:
    assert canonical({"b": 1, "a": {"d": 1, "c": 2}}) == canonical({"a": {"c": 2, "d": 1}, "b": 1})


def test_dump_refuses_what_has_no_json() -> None:
    with pytest.raises(TypeError):
        dump({"a": object()})


@pytest.mark.parametrize("value", [{"a": object()}, {"a": 2**64}, {"a": "\ud800"}, {"a": "\0"}, {"\0": 1}, ["\0"]])
def test_dump_strict_refuses_what_cannot_be_stored(value: Any) -> None:
    with pytest.raises(Unparseable):
        dump_strict(value)


@given(values)
def test_dump_strict_writes_what_parse_reads(value: Any) -> None:
    assert dump_strict(value) == orjson.dumps(value)
    assert strict_json.parse(dump_strict(value)) == value
