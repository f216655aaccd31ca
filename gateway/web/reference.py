"""The reference page of the API: three files that show the description, and load nothing from elsewhere.

It is also where a browser is led that knows the address alone.
"""

from functools import cache
from http import HTTPStatus
from importlib.resources import files

from aiohttp import hdrs, web

from gateway.web.route import Handler

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _page(name: str, content_type: str) -> Handler:
    async def show(_: web.Request) -> web.Response:
        return web.Response(body=_read(name), content_type=content_type, charset="utf-8", headers=_HEADERS)

    return show


async def _lead(_: web.Request) -> web.Response:
    """By a relative address, as a proxy may serve all of this below a path of its own."""
    return web.Response(status=HTTPStatus.FOUND, headers={hdrs.LOCATION: "reference", **_HEADERS})


@cache
def _read(name: str) -> bytes:
    return files("gateway.web").joinpath("static", name).read_bytes()


PAGES: dict[str, Handler] = {
    "/": _lead,
    "/reference": _page("reference.html", "text/html"),
    "/reference/reference.css": _page("reference.css", "text/css"),
    "/reference/reference.js": _page("reference.js", "text/javascript"),
}
