"""Trace context: what of a sender's is believed, and what follows where there is none."""

import pytest

from gateway.core.ids import new_id
from gateway.core.trace import Trace, given, span_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WHOLE = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("text", [WHOLE, f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"])
def test_a_senders_trace_is_kept_in_one_form(text: str) -> None:
    assert given(text) == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, b"", "", "00", "-" * 55, "x" * 100_000, WHOLE.upper(), f" {WHOLE}", f"{WHOLE}\n", f"{WHOLE}x"),
        *(f"{WHOLE}-more", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"),
        *(
            f"00-{TRACE}-{SPAN}-0",
            f"00-{TRACE[:-1]}g-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01,{WHOLE}",
            WHOLE.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
        ),
    ],
)
def test_what_is_no_trace_context_is_ignored(text: object) -> None:
    assert given(text) is None


def test_the_trace_of_an_event_is_the_senders() -> None:
    assert Trace.of(new_id(), WHOLE) == Trace(id=TRACE, parent=SPAN)
    assert not Trace.of(new_id(), f"00-{TRACE}-{SPAN}-00").sampled
    assert Trace.of(new_id(), f"00-{TRACE}-{SPAN}-ff").sampled


def test_without_one_it_is_known_by_the_event() -> None:
    event_id = new_id()
    trace = Trace.of(event_id, None)

    assert trace == Trace(id=event_id.replace("-", ""))
    assert given(trace.traceparent(span_id(event_id))) == f"00-{trace.id}-{span_id(event_id)}-01"


def test_whether_it_is_sampled_is_told_on() -> None:
    assert Trace(id=TRACE, sampled=False).traceparent(SPAN) == f"00-{TRACE}-{SPAN}-00"


def test_different_names_are_different_spans() -> None:
    assert len({span_id("a"), span_id("a", 1), span_id("a", 11), span_id("a1"), span_id("a", 1, 1)}) == 5
    assert span_id("a", 1) == span_id("a", 1)
