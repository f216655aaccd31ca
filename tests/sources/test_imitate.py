"""`gateway send` signs what a source believes."""

from typing import Any

import pytest

from gateway.core.errors import TemplateError
from gateway.sources.imitate import imitate
from tests.sources.senders import NOW, event, incoming, source
from tests.sources.test_verify import SCHEMES

BODY = b'{"uid": "a-1"}'


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("raw", [BODY, b'"\xc3\xbc"', b"{}"])
def test_a_source_believes_what_is_imitated(name: str, raw: bytes) -> None:
    webhook = source(verify=SCHEMES[name])
    headers = imitate(webhook.settings, {"Content-Type": "application/json"}, raw, NOW)

    made = event(webhook.to_events(incoming(raw, headers), NOW))
    assert made.headers == {"content-type": "application/json"}


def test_sample_headers_are_templates() -> None:
    headers = {"X-Id": "{{ uuid }}", "X-Kind": "alarm.{{ body.uid }}", "X-Time": "{{ now().isoformat() }}"}
    first, second = (imitate(source().settings, headers, BODY, NOW) for _ in range(2))

    assert (first["X-Kind"], first["X-Time"]) == ("alarm.a-1", "2027-01-15T12:00:00+00:00")
    assert first["X-Id"] != second["X-Id"]


def test_headers_of_the_sample_are_signed_with_the_body() -> None:
    verify = {"scheme": "hmac", "header": "X-Signature", "secret": "s", "message": "{{ headers['x-id'] }}.{{ raw }}"}
    webhook = source(verify=verify)
    headers = imitate(webhook.settings, {"X-Id": "{{ uuid }}"}, BODY, NOW)

    assert event(webhook.to_events(incoming(BODY, headers), NOW)).data == {"uid": "a-1"}


def test_bodies_that_are_no_json() -> None:
    assert imitate(source(body="text").settings, {"X-Kind": "a"}, b"\xff", NOW) == {"X-Kind": "a"}
    with pytest.raises(TemplateError):
        imitate(source(body="text").settings, {"X-Kind": "{{ body.kind }}"}, b"text", NOW)


@pytest.mark.parametrize("place", ["query", "body"])
def test_a_token_that_is_in_no_header_cannot_be_imitated(place: str) -> None:
    verify: dict[str, Any] = {"scheme": "token", "in": place, "name": "t", "secret": "s"}
    with pytest.raises(ValueError, match=f"stands in the {place}"):
        imitate(source(verify=verify).settings, {}, BODY, NOW)
