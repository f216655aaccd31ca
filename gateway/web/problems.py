"""Problem documents (RFC 9457): the one form of all errors."""

import math
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from gateway.core.errors import MethodNotAllowed, Rejected

PROBLEM = "application/problem+json"


class TooSlow(Rejected):
    status = 408
    title = "Request timeout"


class NotJson(Rejected):
    status = 415
    title = "Unsupported media type"


def problem(rejection: Rejected, **members: Any) -> web.Response:
    """The answer to something that was refused; `members` are added to the document."""
    document = {
        "type": "about:blank",
        "title": rejection.title,
        "status": rejection.status,
        "detail": rejection.detail,
        **members,
    }
    if rejection.errors:
        document["errors"] = [{"path": path, "message": message} for path, message in rejection.errors.items()]
    return _answer(rejection.status, document, _headers(rejection))


def failure() -> web.Response:
    """The answer where the gateway itself is broken; what happened stands in the log alone."""
    document = {"detail": "the gateway failed; its log says why"}
    return _answer(500, {"type": "about:blank", "title": "Internal server error", "status": 500, **document}, {})


def malformed(status: int, detail: str) -> web.Response:
    """The answer to what is no request; the connection ends, as nobody knows where the next request begins."""
    title = HTTPStatus(status).phrase
    response = _answer(status, {"type": "about:blank", "title": title, "status": status, "detail": detail}, {})
    response.force_close()
    return response


def _headers(rejection: Rejected) -> dict[str, str]:
    headers = {}
    if isinstance(rejection, MethodNotAllowed):
        headers["Allow"] = ", ".join(rejection.allowed)
    if rejection.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if rejection.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(rejection.retry_after)))
    return headers


def _answer(status: int, document: dict[str, Any], headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), headers={"Content-Type": PROBLEM, **headers})
