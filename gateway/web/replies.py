"""What the API says, as JSON."""

from typing import Any

import orjson
from aiohttp import web

_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def reply(value: Any, status: int = 200) -> web.Response:
    """An answer; times are RFC 3339 in UTC."""
    return web.Response(status=status, body=orjson.dumps(value, option=orjson.OPT_UTC_Z), headers=_HEADERS)
