"""Every preset against bodies that its sender never sent: each is an event, or refused; nothing else comes of it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.library import bundled
from gateway.core.errors import Rejected, Unmappable, Unparseable, Unverified
from gateway.sources.imitate import imitate
from gateway.sources.webhook import WebhookSource
from tests.sources.senders import NOW, events, incoming, preset, source

SAMPLES = {name: json.loads(bundled().body("sources", name) or "") for name in bundled().names("sources")}
GIVEN: dict[str, Any] = {"secret": "whsec_c2VjcmV0", "verify": {"scheme": "none"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)


def configured(name: str) -> WebhookSource:
    asked = [key for key, param in bundled().load("sources", name).params.items() if param.required]
    return source(name, **preset(name, **{key: GIVEN[key] for key in asked}))


SOURCES = {name: configured(name) for name in SAMPLES}


def damaged(draw: st.DrawFn, value: Any) -> Any:
    """A value in which some parts are others, or are missing."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: damaged(draw, item) for key, item in value.items() if draw(st.integers(0, 9))}
    if isinstance(value, list):
        return [damaged(draw, item) for item in value]
    return value


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_s20_damaged_bodies_are_mapped_or_refused(name: str, data: st.DataObject) -> None:
    raw = json.dumps(data.draw(st.composite(damaged)(SAMPLES[name])), ensure_ascii=data.draw(st.booleans())).encode(
        errors="surrogatepass"
    )
    headers = dict(bundled().load("sources", name).sample or {})["headers"]
    try:
        signed = imitate(SOURCES[name].settings, headers, raw, NOW)
    except Unverified:
        return  # one sender signs what a body means as JSON: it would not have sent this one
    with suppress(Unmappable, Unparseable):
        for made in events(SOURCES[name].to_events(incoming(raw, signed), NOW)):
            assert made is not None
            assert json.loads(made.body) == made.data


@pytest.mark.parametrize("name", SAMPLES)
@given(raw=st.binary(max_size=60), value=st.text(max_size=40), at=st.integers(0, 9))
def test_s20_damaged_requests_are_refused(name: str, raw: bytes, value: str, at: int) -> None:
    body = json.dumps(SAMPLES[name]).encode()
    headers = imitate(SOURCES[name].settings, {"Content-Type": "application/json"}, body, NOW)
    damaged_one = sorted(headers)[at % len(headers)]
    for request in (incoming(raw, headers), incoming(body, headers | {damaged_one: value})):
        with suppress(Rejected):
            SOURCES[name].to_events(request, NOW)
