"""What a request does, in the words of the audit trail. They follow from its path."""

from aiohttp import hdrs, web
from pydantic import Field

from gateway.store.acts import Act
from gateway.web.access import Caller
from gateway.web.address import remote
from gateway.web.edge import EDGE
from gateway.web.parameters import Model, Reason, parse_headers
from gateway.web.route import Route

_BY_METHOD = {hdrs.METH_POST: "create", hdrs.METH_PUT: "replace", hdrs.METH_DELETE: "remove"}
_KINDS = {"pause": "everything", "resume": "everything", "reload": "configuration"}


class Reasoned(Model):
    """The header that says why; a body may say so itself."""

    reason: Reason | None = Field(None, alias="X-Reason", description="Kept in the audit trail.")


def act_of(request: web.Request, route: Route, caller: Caller) -> Act:
    """Raises `Invalid`."""
    action, kind = _words(route)
    return Act(
        actor=caller.name,
        address=remote(request, request.app[EDGE].server.trusted_proxies),
        action=action,
        kind=kind,
        name=next(iter(request.match_info.values()), None),
        reason=parse_headers(request, Reasoned).reason,
    )


def _words(route: Route) -> tuple[str, str]:
    """Such as: cancel, run."""
    first, *rest = route.path.removeprefix("/api/v1/").split("/")
    if first in _KINDS:
        return first, _KINDS[first]
    action = _BY_METHOD[route.method] if not rest or rest[-1].startswith("{") else rest[-1]
    is_of_many = bool(rest) and not rest[0].startswith("{")
    return action, first if is_of_many else first.removesuffix("s")
