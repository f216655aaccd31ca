"""The reference page of the API: three files that show the description, and load nothing from elsewhere."""

from functools import cache
from importlib.resources import files

from aiohttp import web

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


@cache
def _read(name: str) -> bytes:
    return files("gateway.web").joinpath("static", name).read_bytes()


PAGES: dict[str, Handler] = {
    "/reference": _page("reference.html", "text/html"),
    "/reference/reference.css": _page("reference.css", "text/css"),
    "/reference/reference.js": _page("reference.js", "text/javascript"),
}
