"""The gateway at a glance."""

from aiohttp import web

from gateway import __version__
from gateway.core.access import Role
from gateway.store.history import list_targets
from gateway.store.leadership import who_leads
from gateway.store.leases import list_nodes
from gateway.store.pauses import list_pauses
from gateway.store.weaknesses import weaknesses
from gateway.web.api.documents import Status
from gateway.web.edge import EDGE
from gateway.web.replies import reply
from gateway.web.route import Route


async def show_status(request: web.Request) -> web.Response:
    """The gateway at a glance.

    The node that answers, all nodes, who leads the clock, why commits may be lost all the same, what is
    paused, and every target.
    """
    edge = request.app[EDGE]
    node = edge.health.node
    targets = await list_targets(edge.database, held=edge.held)
    return reply(
        {
            "version": __version__,
            "node": {
                "id": node.id,
                "name": node.name,
                "config_hash": edge.current.snapshot.hash,
                "ignored": edge.ignored,
            },
            "nodes": await list_nodes(edge.database),
            "leader": await who_leads(edge.database),
            "weaknesses": await weaknesses(edge.database),
            "pauses": await list_pauses(edge.database),
            "targets": [{name: target[name] for name in ("name", "state", "waiting", "running")} for target in targets],
        }
    )


ROUTES = (Route("GET", "/api/v1/status", Role.VIEWER, show_status, replies={200: Status}),)
