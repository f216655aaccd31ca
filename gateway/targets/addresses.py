"""Which addresses a target may have: asked for the real one, just before it is connected to.

What a name resolves to, how an address is written, and what the name resolves to the next time do not matter then.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork

_METADATA = (ip_network("169.254.169.254"), ip_network("fd00:ec2::254"))
_NO_SYSTEM_ERROR = 0


class AddressRefused(OSError):  # noqa: N818 - says what is wrong
    """An address that the configuration rules out; the message names both."""

    def __init__(self, reason: str) -> None:
        super().__init__(_NO_SYSTEM_ERROR, reason)


class Addresses(BaseModel):
    """Ranges of addresses that a target may have, and may not; without any, only cloud metadata is out of reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[IPvAnyNetwork, ...] = Field((), description="If given, all others are refused.")
    deny: tuple[IPvAnyNetwork, ...] = Field((), description="Refused in any case.")

    def check(self, text: str) -> None:
        """Raises `AddressRefused`."""
        address = _meant(text)
        for network in self.deny:
            if address in network:
                raise AddressRefused(f"{text} may not be called: addresses.deny has {network}")
        if self.allow and not any(address in network for network in self.allow):
            raise AddressRefused(f"{text} may not be called: it is not in addresses.allow")
        if not self.allow and any(address in network for network in _METADATA):
            raise AddressRefused(f"{text} may not be called: cloud metadata, which only addresses.allow can let in")

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as `getaddrinfo` gives it. Raises `AddressRefused`."""
        family, kind, protocol, _, address = info
        self.check(address[0])
        return socket.socket(family, kind, protocol)


def is_refusal(error: OSError | None) -> bool:
    """Also of the one that is made of several, where none of the addresses of a name may be called."""
    return error is not None and error.errno == _NO_SYSTEM_ERROR


def _meant(text: str) -> IPv4Address | IPv6Address:
    """An IPv4 address in the clothes of IPv6 is still one, and the unspecified address leads to this machine."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return ip_address("127.0.0.1" if address.version == 4 else "::1")  # noqa: PLR2004 - a version, no quantity
    return address
