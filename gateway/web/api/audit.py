"""The audit trail: who did what by hand."""

from aiohttp import web

from gateway.core.access import Role
from gateway.store.audit import AuditFilter, list_audit
from gateway.web.api.documents import Audited, Listed
from gateway.web.edge import EDGE
from gateway.web.parameters import History, Name, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route


class AuditQuery(History):
    actor: Name | None = None
    action: Name | None = None


async def show_audit(request: web.Request) -> web.Response:
    """Who did what by hand, when and why, and what came of it; the newest first."""
    database = request.app[EDGE].database
    query = parse_query(request, AuditQuery)
    wanted = AuditFilter(**query.filters(database.now()))
    return reply(await list_audit(database, wanted, query.limit, query.cursor))


ROUTES = (Route("GET", "/api/v1/audit", Role.VIEWER, show_audit, query=AuditQuery, replies={200: Listed[Audited]}),)
