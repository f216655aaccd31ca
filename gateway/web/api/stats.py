"""Stats: how many events came in, how many runs were made of them, and how these ended."""

from datetime import timedelta

from aiohttp import web

from gateway.core.access import Role
from gateway.store.stats import Stats, read_stats
from gateway.web.edge import EDGE
from gateway.web.parameters import InstantOrAge, Model, in_time, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route

DAY = timedelta(hours=24)


class StatsQuery(Model):
    since: InstantOrAge = DAY


async def show_stats(request: web.Request) -> web.Response:
    """How many events came in, how many runs were made of them, and how these ended.

    In all, and for each source, trigger and target. Counted in periods of ten minutes: `since` goes back to the
    beginning of one.
    """
    database = request.app[EDGE].database
    since = in_time(parse_query(request, StatsQuery).since, database.now())
    return reply(await read_stats(database, since))


ROUTES = (Route("GET", "/api/v1/stats", Role.VIEWER, show_stats, query=StatsQuery, replies={200: Stats}),)
