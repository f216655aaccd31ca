"""Metrics for Prometheus, for whoever may look at things: its configuration can hold a token."""

from aiohttp import hdrs, web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.core.access import Role
from gateway.runtime import observe
from gateway.web.edge import EDGE
from gateway.web.route import Media, Route

NOWHERE = "(none)"


async def show_metrics(request: web.Request) -> web.Response:
    """Metrics, for Prometheus."""
    page = await request.app[EDGE].scrape.page()
    return web.Response(
        body=page, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4, hdrs.CACHE_CONTROL: "no-store"}
    )


async def count_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Counts an answer that is about to be sent; paths that no route is made for share one template."""
    resource = request.match_info.route.resource
    observe.answered(resource.canonical if resource else NOWHERE, response.status)


ROUTES = (Route("GET", "/metrics", Role.VIEWER, show_metrics, replies={200: Media(("text/plain",))}),)
