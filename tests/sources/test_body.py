"""Bodies: what encodings, JSON, forms and texts may look like, and what is refused."""

import gzip
import time
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import TooLarge, Unparseable, UnsupportedEncoding
from gateway.sources.body import Kind, decode, parse

MIB = 2**20
BODY = b'{"host": "a"}' * 100
BARE = zlib.compressobj(wbits=-15)
BARE_DEFLATE = BARE.compress(BODY) + BARE.flush()
ENCODED = {"gzip": gzip.compress(BODY, mtime=0), "deflate": zlib.compress(BODY)}


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (BODY, None),
        (BODY, ""),
        (BODY, "identity"),
        (ENCODED["gzip"], "gzip"),
        (ENCODED["gzip"], " X-GZIP "),
        (ENCODED["deflate"], "deflate"),
        (BARE_DEFLATE, "Deflate"),
    ],
)
def test_s04_encodings(raw: bytes, encoding: str | None) -> None:
    assert decode(raw, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "identity, gzip", "*", "é"]
)
def test_s04_other_and_double_encodings_are_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        decode(ENCODED["gzip"], encoding, MIB)

    assert refused.value.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", None])
def test_s04_one_byte_too_many(encoding: str | None) -> None:
    with pytest.raises(TooLarge):
        decode(ENCODED.get(encoding or "", BODY), encoding, len(BODY) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_s04_a_bomb_is_inflated_no_further_than_the_limit(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = compress(bytes(200 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode(bomb, encoding, MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * MIB


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_s04_broken_streams(encoding: str) -> None:
    whole = ENCODED[encoding]
    broken = [
        b"",
        b"x",
        b"not compressed",
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"x",
        whole + whole,
        whole[1:],
    ]
    for raw in [*broken, b"\0" + whole]:
        with pytest.raises(Unparseable):
            decode(raw, encoding, MIB)


@given(raw=st.binary(max_size=100), encoding=st.sampled_from(["gzip", "deflate"]))
def test_s04_any_bytes_are_a_body_or_a_refusal(raw: bytes, encoding: str) -> None:
    for sent in (raw, ENCODED[encoding][:20] + raw):
        with suppress(Unparseable, TooLarge):
            assert len(decode(sent, encoding, 50)) <= 50


REFUSED_JSON = {
    "nothing": b"",
    "a space": b" ",
    "a number too many levels deep": b"[" * 65 + b"1" + b"]" * 65,
    "65 levels": b"[" * 65 + b"]" * 65,
    "65 levels of objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "255 levels": b"[" * 255 + b"]" * 255,
    "1024 levels": b"[" * 1024 + b"]" * 1024,
    "a hundred thousand levels": b"[" * 100_000 + b"]" * 100_000,
    "NaN": b"[NaN]",
    "Infinity": b"[-Infinity]",
    "a float beyond doubles": b"[1e999]",
    "2^64": b"[18446744073709551616]",
    "-2^63 - 1": b"[-9223372036854775809]",
    "30 digits": b'{"a": 123456789012345678901234567890}',
    "NUL in a text": b'["\\u0000"]',
    "NUL in a name": b'{"a\\u0000": 1}',
    "a bare NUL": b'["\0"]',
    "a lone surrogate": b'["\\ud800"]',
    "broken UTF-8": b'["\xff"]',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "two values": b"{} {}",
    "a comment": b"{} // no",
    "form": b"a=1&b=2",
}
STORED_JSON = {
    "64 levels": b"[" * 64 + b"]" * 64,
    "brackets in a text": b'["' + b"[" * 1000 + b'"]',
    "many brackets side by side": b"[" + b"[]," * 1000 + b"{}]",
    "the same name twice": b'{"a": 1, "a": 2}',
    "2^64 - 1": b"[18446744073709551615, -9223372036854775808]",
    "many digits in a text": b'["123456789012345678901234567890", "\\"99999999999999999999"]',
    "many digits of a fraction": b"[0.12345678901234567890123, 1.5e-0000000000000000000001]",
    "an escaped backslash before u0000": b'["\\\\u0000"]',
    "white space around": b" \r\n\t{ } \n",
    "a bare text": b'"a"',
    "null": b"null",
    "umlauts and emoji": '["ü", "\U0001f600", "\\ud83d\\ude00"]'.encode(),
}


@pytest.mark.parametrize("raw", REFUSED_JSON.values(), ids=REFUSED_JSON.keys())
def test_s03_refused_json(raw: bytes) -> None:
    with pytest.raises(Unparseable) as refused:
        parse(raw, "json")

    assert refused.value.status == 400


@pytest.mark.parametrize("raw", STORED_JSON.values(), ids=STORED_JSON.keys())
def test_s03_json_is_kept_byte_for_byte_and_can_be_written_again(raw: bytes) -> None:
    content = parse(raw, "json")

    assert content.text == raw
    assert orjson.loads(orjson.dumps(content.data)) == content.data


SLOW_JSON = {
    "arrays": b"[" + b"[]," * (MIB // 3 - 2) + b"[]]",
    "nested arrays": b"[" + b"[[[[]]]]," * (MIB // 9 - 2) + b"[]]",
    "a long text beside a long number": b'["' + b"a" * (MIB - 30) + b'", 1234567890123456789]',
    "escapes beside a long number": b'["' + b'\\"' * (MIB // 2 - 20) + b'", 1234567890123456789]',
    "a fraction of a million digits": b"[0." + b"1" * (MIB - 10) + b"]",
    "a number of a million digits": b"[" + b"1" * (MIB - 10) + b"]",
    "an escaped NUL": b'["' + b"\\u0000" * (MIB // 6 - 2) + b'"]',
}


@pytest.mark.parametrize("raw", SLOW_JSON.values(), ids=SLOW_JSON.keys())
def test_s03_no_mebibyte_of_json_holds_the_gateway_up(raw: bytes) -> None:
    """60 ms on an idle core; the bound leaves room for a busy one, and none for what is quadratic: minutes."""
    began = time.thread_time()
    with suppress(Unparseable):
        parse(raw, "json")

    assert time.thread_time() - began < 3


def test_a_form_is_its_fields() -> None:
    content = parse(b"host=z%C3%BCrich&level=&tag=a&tag=b+c&flag", "form")
    expected: dict[str, Any] = {"host": "zürich", "level": "", "tag": ["a", "b c"], "flag": ""}

    assert content.data == expected
    assert orjson.loads(content.text) == expected


@pytest.mark.parametrize(
    "raw", [b"a=%00", b"%00=a", b"a=\0", b"a=%FF", b"\xff=a", b"a=%ED%A0%80", b"&".join([b"a=1"] * 1001)]
)
def test_s03_refused_forms(raw: bytes) -> None:
    with pytest.raises(Unparseable):
        parse(raw, "form")


def test_a_text_is_stored_as_json() -> None:
    content = parse(b'disk "full"\n', "text")

    assert content.data == 'disk "full"\n'
    assert orjson.loads(content.text) == content.data


@pytest.mark.parametrize("raw", [b"\xff", b"a\0b", b"\xed\xa0\x80"])
def test_s03_refused_texts(raw: bytes) -> None:
    with pytest.raises(Unparseable):
        parse(raw, "text")


@given(raw=st.binary(max_size=200))
def test_s03_what_passes_can_be_stored_as_json_without_nul(raw: bytes) -> None:
    for kind in get_args(Kind):
        try:
            content = parse(raw, kind)
        except Unparseable:
            continue
        assert orjson.loads(content.text) == content.data
        assert "\0" not in repr(content.data)


FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


def test_a_form_may_carry_the_json_where_the_source_says_in_which_field() -> None:
    content = parse(b"payload=%7B%22a%22%3A+1%7D", "json", FORM_TYPE, "payload")

    assert (content.data, content.text) == ({"a": 1}, b'{"a": 1}')
    with pytest.raises(Unparseable):
        parse(b"payload=%7B%22a%22%3A+1%7D", "json", FORM_TYPE)


@pytest.mark.parametrize("raw", [b"", b"other=1", b"payload=", b"payload=x", b"payload={}&payload={}", b"payload=%FF"])
def test_s03_refused_forms_with_json(raw: bytes) -> None:
    with pytest.raises(Unparseable):
        parse(raw, "json", FORM_TYPE, "payload")
