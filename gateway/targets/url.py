"""Addresses of targets: what is allowed in them, and where their credentials go."""

import re

from aiohttp import encode_basic_auth
from yarl import URL

_CREDENTIALS = re.compile(r"(https?://)([^/?#@{]*)@", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def take_credentials(source: str) -> tuple[str, str | None]:
    """Splits `http://user:password@host` into the address without them and the value of `Authorization`.

    They never enter the address that is called and shown, so nothing that is rendered into it can pass for them.
    """
    match = _CREDENTIALS.match(source)
    if not match:
        return source, None
    account = URL(match[0] + "host")
    return match[1] + source[match.end() :], encode_basic_auth(account.user or "", account.password or "")


def parse(text: str) -> URL:
    """An address that can be called. Raises `ValueError` for everything else."""
    if _CONTROL.search(text):  # yarl would silently drop them
        raise ValueError("a control character in the address")
    url = URL(text)
    if url.scheme not in {"http", "https"}:
        raise ValueError(f"expected http:// or https://, got {text!r:.20}")
    if not url.host or " " in url.host:
        raise ValueError("an address without a proper host")
    if url.user is not None or url.password is not None:
        raise ValueError("user and password must stand at the start of the address, percent-encoded, without templates")
    return url
