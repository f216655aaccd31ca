"""Reload: the configuration is read anew."""

from aiohttp import web

from gateway.core.access import Role
from gateway.core.errors import Invalid
from gateway.runtime.reload import Reloaded, Unusable
from gateway.web.edge import EDGE
from gateway.web.parameters import Acting, parse_body
from gateway.web.problems import problem
from gateway.web.replies import reply
from gateway.web.route import Route


class Reloading(Acting):
    pass


async def reload(request: web.Request) -> web.Response:
    """The configuration is read anew.

    One with problems is answered with all of them, and the old one stays in force.
    """
    await parse_body(request, Reloading)
    try:
        return reply(await request.app[EDGE].reload.now())
    except Unusable as unusable:
        errors = [{"path": path, "message": message} for path, message in unusable.problems]
        return problem(Invalid("the configuration cannot be used, the old one stays in force"), errors=errors)


ROUTES = (Route("POST", "/api/v1/reload", Role.ADMIN, reload, body=Reloading, replies={200: Reloaded}),)
