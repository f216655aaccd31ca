"""Cancelling and retrying all runs that a filter selects."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from aiohttp import web
from pydantic import Field, model_validator

from gateway.core.access import Role
from gateway.core.errors import Conflict, NotFound
from gateway.core.request import Decision
from gateway.core.run import FINAL, UNFINISHED, State
from gateway.store.selection import Selection, select_runs
from gateway.web.access import CALLER
from gateway.web.api.documents import Done
from gateway.web.api.runs import Runs
from gateway.web.edge import EDGE
from gateway.web.parameters import Acting, Cursor, parse_body, such_as
from gateway.web.replies import reply
from gateway.web.route import Route

BATCH = 50
"""Runs that are handed to the database together; others get their turn between two batches."""
MAX = 10_000

R = TypeVar("R")
Refused = NotFound | Conflict


class Selecting(Runs, Acting):
    """At least one filter; to mean everything takes words."""

    model_config = such_as(target="proxbox", state="failed", since="2h", dry_run=True)

    dry_run: bool = Field(False, description="Only say which runs these are.")
    max: int = Field(1000, ge=1, le=MAX, description="Of more than that, the oldest.")
    cursor: Cursor | None = Field(None, description="What `next` of the answer before says.")

    @model_validator(mode="after")
    def _check_filter(self) -> Self:
        if all(getattr(self, name) is None for name in Runs.model_fields):
            raise ValueError(f"expected at least one of {', '.join(Runs.model_fields)}")
        return self


async def cancel_runs(request: web.Request) -> web.Response:
    """Cancels all unfinished runs that a filter selects; calls in progress are ended, too."""
    body, selection = await _selected(request, lambda _: UNFINISHED)
    intake, caller = request.app[EDGE].intake, request[CALLER].name

    async def cancel(run_id: str) -> State:
        return await intake.cancel(run_id, by=caller, reason=body.reason)

    return _told(body, selection, await _each(selection, cancel, dry_run=body.dry_run))


async def retry_runs(request: web.Request) -> web.Response:
    """New runs for all finished ones that a filter selects: for those that failed, unless it names a state."""
    body, selection = await _selected(request, lambda body: FINAL if body.state else {State.FAILED})
    intake, caller = request.app[EDGE].intake, request[CALLER].name

    async def retry(run_id: str) -> Decision:
        return await intake.retry(run_id, by=caller)

    return _told(body, selection, await _each(selection, retry, dry_run=body.dry_run))


async def _selected(
    request: web.Request, states: Callable[[Selecting], frozenset[State] | set[State]]
) -> tuple[Selecting, Selection]:
    database, body = request.app[EDGE].database, await parse_body(request, Selecting)
    return body, await select_runs(database, body.filter(database.now()), states(body), body.max, body.cursor)


async def _each(selection: Selection, act: Callable[[str], Awaitable[R]], *, dry_run: bool) -> list[R | Refused]:
    """What came of each; it may have ended, or have been pruned, since it was selected."""
    results: list[R | Refused] = []
    for start in range(0, 0 if dry_run else len(selection.ids), BATCH):
        batch = selection.ids[start : start + BATCH]
        results += await asyncio.gather(*(_unless_refused(act(run_id)) for run_id in batch))
    return results


async def _unless_refused(acting: Awaitable[R]) -> R | Refused:
    try:
        return await acting
    except (NotFound, Conflict) as refusal:
        return refusal


def _told(body: Selecting, selection: Selection, results: Sequence[Any]) -> web.Response:
    refused = {
        run_id: result.detail
        for run_id, result in zip(selection.ids, results, strict=False)  # of a dry run there are none
        if isinstance(result, (NotFound, Conflict))
    }
    made = [result.run_id for result in results if isinstance(result, Decision) and result.run_id]
    document = {
        "matched": len(selection.ids) + selection.remaining,
        "done": len(results) - len(refused),
        "remaining": selection.remaining,
        "ids": [run_id for run_id in selection.ids if run_id not in refused],
        "run_ids": list(dict.fromkeys(made)),
        "refused": [{"id": run_id, "reason": reason} for run_id, reason in refused.items()],
        "dry_run": body.dry_run,
        "next": selection.ids[-1] if selection.remaining else None,
    }
    return reply(document, status=200 if body.dry_run else 202)


_REPLIES = {200: Done, 202: Done}
ROUTES = (
    Route("POST", "/api/v1/runs/cancel", Role.OPERATOR, cancel_runs, body=Selecting, replies=_REPLIES),
    Route("POST", "/api/v1/runs/retry", Role.OPERATOR, retry_runs, body=Selecting, replies=_REPLIES),
)
