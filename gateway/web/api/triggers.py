"""Triggers: what they listen to, whether they are paused, and what they decided."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway.core.access import Role
from gateway.core.trigger import Trigger
from gateway.store.pause import Kind
from gateway.store.stats import Activity, read_activity
from gateway.web.api.documents import Listed, TriggerSummary
from gateway.web.api.pausing import pauses_by_name
from gateway.web.api.stats import StatsQuery
from gateway.web.edge import EDGE
from gateway.web.parameters import Name, Page, in_time, parse_query
from gateway.web.replies import reply
from gateway.web.route import Route


class NamedQuery(StatsQuery, Page):
    """A page of things of the configuration, with what has been counted of them since."""

    cursor: Name | None = None

    def page(self, names: Iterable[str]) -> tuple[list[str], str | None]:
        """Those on this page, and the cursor of the next."""
        after = sorted(name for name in names if name > (self.cursor or ""))
        shown = after[: self.limit]
        return shown, shown[-1] if len(after) > self.limit else None


async def show_triggers(request: web.Request) -> web.Response:
    """The triggers of the configuration, by name; what they decided is counted since a day ago, if nothing is said."""
    edge, query = request.app[EDGE], parse_query(request, NamedQuery)
    triggers = edge.current.snapshot.triggers
    names, following = query.page(triggers)
    pauses = await pauses_by_name(edge, Kind.TRIGGER)
    activity = await read_activity(edge.database, "trigger", names, in_time(query.since, edge.database.now()))
    items = [{"name": name, **_rule(triggers[name]), **pauses(name), **told(activity.get(name))} for name in names]
    return reply({"items": items, "next": following})


def told(activity: Activity | None) -> dict[str, Any]:
    """What the API says of it."""
    known = activity or Activity()
    return {"counts": known.figures, "last_event": known.last_event}


def _rule(trigger: Trigger) -> dict[str, Any]:
    listens = [match.model_dump(exclude_defaults=True) for match in trigger.on]
    return {"on": listens, "target": trigger.target, "mode": trigger.mode}


ROUTES = (
    Route(
        "GET",
        "/api/v1/triggers",
        Role.VIEWER,
        show_triggers,
        query=NamedQuery,
        replies={200: Listed[TriggerSummary]},
    ),
)
