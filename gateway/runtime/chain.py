"""The end of a run is an event of source `gateway`, so that chaining and alerts are ordinary triggers."""

from typing import Any

import orjson

from gateway.core import strict_json
from gateway.core.event import Cause, Event
from gateway.core.ids import new_id
from gateway.core.plan import plan
from gateway.core.run import State
from gateway.core.trigger import GATEWAY, RUN_ENDED
from gateway.runtime.snapshot import Snapshot
from gateway.store.accept import Acceptance
from gateway.store.settle import Announce, Ended

_ANNOUNCED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
LOG_TAIL = 4000


def announcement(snapshot: Snapshot) -> Announce:
    """What says that a run has ended; nothing is stored where no trigger listens."""
    listeners = snapshot.listeners(GATEWAY)

    def announce(ended: Ended) -> Acceptance | None:
        if ended.state not in _ANNOUNCED:
            return None
        event = _event(ended)
        matching = tuple(pair for pair in listeners if pair[1].matches(event))
        return (
            Acceptance(event, plan(event, matching, snapshot.lanes, event.time), snapshot.limits) if matching else None
        )

    return announce


def _event(ended: Ended) -> Event:
    run, now = ended.run, ended.ended_at
    data: dict[str, Any] = {
        "run": {name: getattr(run, name) for name in ("id", "target", "trigger", "schedule", "key", "attempt")},
        **{name: getattr(run, name) for name in ("target", "trigger", "schedule", "key")},
        "state": ended.state,
        "payload": orjson.loads(run.payload),
        "output": ended.settlement.output,
        "reason": ended.settlement.reason,
        "log_tail": ended.log[-LOG_TAIL:],
    }
    body = strict_json.dump(data)
    cause = Cause(
        run_id=run.id,
        trigger=run.trigger,
        origin_event_id=run.origin_event_id or run.event_id or run.id,
        depth=run.depth + 1,
    )
    return Event(
        id=new_id(),
        source=GATEWAY,
        type=f"{RUN_ENDED}{ended.state}",
        subject=run.target,
        time=now,
        received_at=now,
        data=data,
        body=body,
        cause=cause,
    )
