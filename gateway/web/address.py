"""Where a request comes from, also behind proxies."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


def remote(request: web.BaseRequest, proxies: Networks) -> str:
    """The address of the client; what proxies say of it counts only as far as they are trusted."""
    peer = request.remote or ""
    if not proxies:
        return peer
    return nearest_untrusted(peer, request.headers.getall("X-Forwarded-For", ()), proxies)


def nearest_untrusted(peer: str, forwarded_for: Iterable[str], proxies: Networks) -> str:
    """The first address from the peer back to the client that is no trusted proxy; what lies behind may be made up."""
    hops = [peer, *reversed(",".join(forwarded_for).split(","))]
    nearest = peer
    for hop in hops:
        address = parse(hop)
        if address is None:
            break
        nearest = str(address)
        if not any(address in network for network in proxies):
            break
    return nearest


def parse(text: str) -> Address | None:
    """An address as proxies write it, with or without brackets and port; that of IPv4 where it is mapped into IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
