"""`gateway send` signs what a source believes."""

from typing import Any

import pytest

from gateway.core.errors import TemplateError
from gateway.sources.imitate import imitate, proven
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


TOKEN: dict[str, Any] = {"scheme": "token", "name": "t", "prefix": "p ", "secret": ["ü&=", "old"]}


def test_a_token_in_the_query() -> None:
    webhook = source(verify=TOKEN | {"in": "query"})

    assert proven(webhook.settings, BODY) == BODY
    assert event(webhook.to_events(incoming(BODY, {}, webhook.settings.verify.sign_query()), NOW)).body == BODY


@pytest.mark.parametrize(
    ("kind", "raw"), [("json", BODY), ("json", b"{}"), ("json", b' {"t": "p old"}'), ("form", b"a=1"), ("form", b"")]
)
def test_a_token_in_the_body(kind: str, raw: bytes) -> None:
    webhook = source(verify=TOKEN | {"in": "body"}, body=kind)
    body = proven(webhook.settings, raw)

    assert webhook.settings.verify.sign_query() == imitate(webhook.settings, {}, body, NOW) == {}
    assert "t" not in event(webhook.to_events(incoming(body), NOW)).data
    assert body == raw or b"old" not in raw


@pytest.mark.parametrize("raw", [b"", b"[]", b"no JSON", b"\xff"])
def test_a_body_without_fields_has_no_place_for_a_token(raw: bytes) -> None:
    with pytest.raises(ValueError, match="field t"):
        proven(source(verify=TOKEN | {"in": "body"}).settings, raw)
