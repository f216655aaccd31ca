"""Sources: where events come in, whether they can, and how many did."""

from typing import Any

from aiohttp import web

from gateway.core.access import Role
from gateway.sources import Source
from gateway.sources.webhook import WebhookSource
from gateway.store.pause import Kind
from gateway.store.stats import read_activity
from gateway.web.api.documents import Listed, SourceSummary
from gateway.web.api.pausing import pauses_by_name
from gateway.web.api.triggers import NamedQuery, told
from gateway.web.edge import EDGE, Edge
from gateway.web.parameters import in_time, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route


async def show_sources(request: web.Request) -> web.Response:
    """The sources of the configuration, by name; what came in is counted since a day ago, if nothing is said.

    `state` and `ignored` are those of the node that answers.
    """
    edge, query = request.app[EDGE], parse_query(request, NamedQuery)
    sources = edge.current.snapshot.sources
    names, following = query.page(sources)
    pauses = await pauses_by_name(edge, Kind.SOURCE)
    activity = await read_activity(edge.database, "source", names, in_time(query.since, edge.database.now()))
    items = [
        {"name": name, **_way_in(edge, sources[name]), **pauses(name), **told(activity.get(name))} for name in names
    ]
    return reply({"items": items, "next": following})


def _way_in(edge: Edge, source: Source) -> dict[str, Any]:
    if isinstance(source, WebhookSource):
        way = {"path": source.path, "queue": None, "state": "ok"}
    else:
        state = edge.health.sources.get(source.name, "not consumed by this node")
        way = {"path": None, "queue": source.settings.queue, "state": state}
    return {"kind": source.settings.kind, **way, "ignored": edge.ignored[source.name]}


ROUTES = (
    Route("GET", "/api/v1/sources", Role.VIEWER, show_sources, query=NamedQuery, replies={200: Listed[SourceSummary]}),
)
