"""The format of server-sent events, as the WHATWG standard has it, however the stream is cut into chunks."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.targets.stream import Parser, ServerEvent, TooLarge

LIMIT = 10_000


def read(*chunks: bytes, max_event: int = LIMIT, max_bytes: int = LIMIT) -> list[tuple[str, str]]:
    parser = Parser(max_event=max_event, max_bytes=max_bytes)
    return [(event.name, event.data) for chunk in chunks for event in parser.feed(chunk)]


STREAMS: dict[bytes, list[tuple[str, str]]] = {
    b"data: a\n\n": [("message", "a")],
    b"data:a\n\n": [("message", "a")],
    b"data:  a \n\n": [("message", " a ")],
    b"event: step\ndata: a\n\n": [("step", "a")],
    b"data: a\nevent: step\n\n": [("step", "a")],
    b"event: one\nevent: two\ndata: a\n\n": [("two", "a")],
    b"event:\ndata: a\n\n": [("message", "a")],
    b"event: step\n\ndata: a\n\n": [("message", "a")],
    b"event: step\ndata: a\n\ndata: b\n\n": [("step", "a"), ("message", "b")],
    b"data: a\ndata: b\n\n": [("message", "a\nb")],
    b"data\n\n": [("message", "")],
    b"data:\n\n": [("message", "")],
    b"data\ndata\n\n": [("message", "\n")],
    b"data: YHOO\ndata: +2\ndata: 10\n\n": [("message", "YHOO\n+2\n10")],
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event": [
        ("message", "first event"),
        ("message", "second event"),
    ],
    b":\n\n:keepalive\n\n: \n\n": [],
    b"data: a\n: comment\ndata: b\n\n": [("message", "a\nb")],
    b"retry: 10\nid: \0\nunknown: x\nDATA: x\n data: x\nno colon\n\n": [],
    b"data: a:b: c\n\n": [("message", "a:b: c")],
    b"data: a\r\n\r\n": [("message", "a")],
    b"data: a\r\r": [("message", "a")],
    b"data: a\r\n\n": [("message", "a")],
    b"data: a\n\r\n": [("message", "a")],
    b"data: a\rdata: b\ndata: c\r\n\r": [("message", "a\nb\nc")],
    b"data: a\r\n\r\ndata: b\r\n\r\n": [("message", "a"), ("message", "b")],
    b"\xef\xbb\xbfdata: a\n\n": [("message", "a")],
    b"\xef\xbb\xbf\n\xef\xbb\xbfdata: a\n\n": [],
    b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n": [],
    b"\n\n\ndata: a\n\n\n\n": [("message", "a")],
    b"data: \xff\xfe\xc3\n\n": [("message", "\ufffd\ufffd\ufffd")],
    b"event: \xff\ndata: \xf0\x9f\x98\n\n": [("\ufffd", "\ufffd")],
    "data: ü😀\u2028\u0085\x0b\n\n".encode(): [("message", "ü😀\u2028\u0085\x0b")],
    b"data: a\0b\n\n": [("message", "a\0b")],
    b"data: a\n": [],
    b"data: a": [],
    b"": [],
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.items())
def test_x03_a_stream_is_read_as_the_standard_has_it(stream: bytes, events: list[tuple[str, str]]) -> None:
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_x03_a_carriage_return_ends_its_line_without_waiting_for_more() -> None:
    parser = Parser(max_event=LIMIT, max_bytes=LIMIT)

    assert list(parser.feed(b"data: a\r\r")) == [ServerEvent(name="message", data="a")]
    assert list(parser.feed(b"\ndata: b\n\n")) == [ServerEvent(name="message", data="b")]


def test_x03_events_come_as_soon_as_they_are_complete() -> None:
    parser = Parser(max_event=LIMIT, max_bytes=LIMIT)

    assert list(parser.feed(b"data: a\n")) == []
    assert list(parser.feed(b"\ndata: b")) == [ServerEvent(name="message", data="a")]


LINE = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b"event: x", b": comment", b"\xef\xbb\xbfdata: a", b"id: 7"]),
    st.binary(max_size=8).map(lambda value: b"data: " + value),
    st.binary(max_size=8),
)
STREAM = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=20).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


@given(stream=STREAM, places=st.lists(st.integers(min_value=0), max_size=10))
def test_x03_where_a_stream_is_cut_makes_no_difference(stream: bytes, places: list[int]) -> None:
    assert read(*cut(stream, places)) == read(stream)


def by_the_letter(stream: bytes) -> list[tuple[str, str]]:
    """The same, from a whole stream, as the standard words it."""
    text = stream.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    events, name, data = [], "", ""
    for line in text.split("\n")[:-1]:
        if line == "":
            if data:
                events.append((name or "message", data.removesuffix("\n")))
            name, data = "", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
    return events


@given(stream=STREAM, places=st.lists(st.integers(min_value=0), max_size=10))
def test_x03_it_agrees_with_the_letter_of_the_standard(stream: bytes, places: list[int]) -> None:
    assert read(*cut(stream, places)) == by_the_letter(stream)


# Budgets


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"a" * 200,
        b": " + b"a" * 200,
        b"a" * 200,
        b"data: a\n" * 100,
        b"data\n" * 200,
        b"data: a\n" * 20 + b"data: " + b"a" * 80,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_x03_an_event_or_line_without_end_is_not_kept(stream: bytes, size: int) -> None:
    with pytest.raises(TooLarge, match="max_event"):
        read(*(stream[at : at + size] for at in range(0, len(stream), size)), max_event=100)


def test_x03_what_is_not_kept_does_not_count_for_an_event() -> None:
    keepalives = b": keepalive\n" * 100
    events = b"data: " + b"a" * 90 + b"\n\n"

    assert len(read(keepalives + events * 3 + keepalives, max_event=100)) == 3


@pytest.mark.parametrize("size", [1, 64])
def test_x03_the_whole_stream_has_a_budget_too(size: int) -> None:
    stream = b": keepalive\n" * 100
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert read(*chunks, max_bytes=1200) == []
    with pytest.raises(TooLarge, match="max_bytes"):
        read(*chunks, max_bytes=1199)
