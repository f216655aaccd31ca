"""Where a request comes from."""

from ipaddress import ip_network

import pytest

from gateway.web.address import nearest_untrusted, parse

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["10.0.0.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7, ,"], "10.0.0.1"),
        ("10.0.0.1", ["' or 1=1 --"], "10.0.0.1"),
        ("10.0.0.1", ["1" * 8000], "10.0.0.1"),
        ("", ["192.0.2.7"], ""),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_counts(
    peer: str, forwarded_for: list[str], expected: str
) -> None:
    assert nearest_untrusted(peer, forwarded_for, PROXIES) == expected


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "[::1", "::1]:80", "1.2.3.4.5", "\udc80", "0x7f000001", "01.2.3.4"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse(text) is None or text == "[::1"
