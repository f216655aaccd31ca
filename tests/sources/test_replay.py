"""Signed requests that are sent again by somebody who cannot sign."""

from typing import Any

import pytest

from gateway.core.errors import Unverified
from gateway.core.event import Delivery
from gateway.sources.imitate import imitate
from gateway.sources.webhook import WebhookSource
from tests.sources.senders import NOW, event, events, incoming, source

HMAC: dict[str, Any] = {"scheme": "hmac", "header": "X-Signature", "secret": ["new", "old"]}
STAMPED = HMAC | {"message": "{{ timestamp }}.{{ raw }}", "timestamp": {"header": "X-Timestamp"}}
STRIPE = HMAC | {
    "header": "Stripe-Signature",
    "prefix": "v1=",
    "message": "{{ timestamp }}.{{ raw }}",
    "timestamp": {"header": "stripe-signature", "prefix": "t="},
}


def delivery(webhook: WebhookSource, raw: bytes, **headers: str) -> Delivery | None:
    signed = imitate(webhook.settings, headers, raw, NOW) | headers
    return event(webhook.to_events(incoming(raw, signed), NOW)).delivery


def test_s01_the_same_body_under_the_same_signature_is_a_redelivery() -> None:
    webhook = source(verify=HMAC)

    assert delivery(webhook, b'{"a": 1}') is not None
    assert delivery(webhook, b'{"a": 1}') == delivery(webhook, b'{"a": 1}')
    assert delivery(webhook, b'{"a": 1}') != delivery(webhook, b'{"a":  1}')


def test_s01_whatever_else_is_written_into_the_header() -> None:
    webhook = source(verify=HMAC)
    signature = imitate(webhook.settings, {}, b"{}", NOW)["X-Signature"]
    by_old = imitate(source(verify=HMAC | {"secret": "old"}).settings, {}, b"{}", NOW)["X-Signature"]
    first, *others = (
        delivery(webhook, b"{}", **{"X-Signature": sent})
        for sent in (signature, signature.upper(), f"00, {signature}", by_old, f"{by_old},{signature}")
    )

    assert first is not None
    assert all(other == first for other in others)


def test_an_id_of_the_sender_tells_requests_apart() -> None:
    webhook = source(verify=HMAC, event={"id": "{{ headers['x-id'] }}"})

    assert delivery(webhook, b"{}", **{"X-Id": "1"}) == Delivery(
        scope="alarms", id="1", window=webhook.settings.dedup.window
    )
    assert delivery(webhook, b"{}", **{"X-Id": "1"}) != delivery(webhook, b"{}", **{"X-Id": "2"})


@pytest.mark.parametrize(
    "verify", [STAMPED, STRIPE, {"scheme": "none"}, {"scheme": "token", "name": "t", "secret": "s"}]
)
def test_what_says_its_time_or_is_not_signed_is_no_replay(verify: dict[str, Any]) -> None:
    assert delivery(source(verify=verify), b"{}") is None


def test_elements_of_one_request_are_no_replays_of_each_other() -> None:
    webhook = source(verify=HMAC, split="{{ body }}")
    headers = imitate(webhook.settings, {}, b"[1, 1]", NOW)
    first, again = (
        [one.delivery for one in events(webhook.to_events(incoming(b"[1, 1]", headers), NOW)) if one] for _ in range(2)
    )

    assert len(set(first)) == 2
    assert first == again


def test_stripe_sends_time_and_signatures_in_one_header() -> None:
    webhook = source(verify=STRIPE)
    headers = imitate(webhook.settings, {}, b"{}", NOW)
    [(name, value)] = headers.items()
    stamp, signature = value.split(",")

    assert (name, stamp) == ("Stripe-Signature", "t=1800014400")
    for accepted in (value, f"{stamp}, {signature},v0=abc", f"v0=x,{signature},{stamp}"):
        assert event(webhook.to_events(incoming(b"{}", {name: accepted}), NOW))  # type: ignore[truthy-bool]
    for refused in (
        *(signature, stamp, f"t=1800014401,{signature}", f"t=,{signature}", f"t=nan,{signature}", f"t=1.5,{signature}"),
        *(f"t=1800014700,t=1800014400,{signature}", f"T=1800014400,{signature}", f"{stamp},v0={signature[3:]}", ","),
        ",".join([stamp] + ["v1=00"] * 8 + [signature]),
    ):
        with pytest.raises(Unverified):
            webhook.to_events(incoming(b"{}", {name: refused}), NOW)


@pytest.mark.parametrize("late", [301, -301])
def test_s01_stripe_requests_that_are_late_are_refused(late: int) -> None:
    webhook = source(verify=STRIPE)
    headers = imitate(webhook.settings, {}, b"{}", NOW)
    with pytest.raises(Unverified, match="from now"):
        webhook.to_events(incoming(b"{}", headers), NOW.fromtimestamp(NOW.timestamp() + late, NOW.tzinfo))


def test_a_message_needs_the_timestamp_that_it_holds() -> None:
    with pytest.raises(ValueError, match="there is no timestamp"):
        source(verify=HMAC | {"message": "{{ timestamp }}.{{ raw }}"})
