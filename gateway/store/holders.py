"""The keys that requests ask for, and the runs that hold them: locked to decide, looked at to foretell a decision."""

from sqlalchemy import bindparam, select

from gateway.store.schema import keys, runs

_COLUMNS = (
    *(runs.c.id, runs.c.state, runs.c.target, runs.c.lane, runs.c.created_at, runs.c.due_at, runs.c.not_before),
    *(runs.c.payload, runs.c.priority, runs.c.cancelling, runs.c.claimable, runs.c.events, runs.c.size, runs.c.missed),
    *(runs.c.event_id, runs.c.superseded_by, runs.c.finished_at, runs.c.reason, runs.c.expires_at, runs.c.fresh_for),
    *(runs.c.following, runs.c.origins, runs.c.paused, runs.c.trigger),
)
KEYS = (
    select(keys.c.target, keys.c.key, keys.c.run_id, keys.c.held_until)
    .where(keys.c.target.in_(bindparam("firsts", expanding=True)), keys.c.key.in_(bindparam("seconds", expanding=True)))
    .order_by(keys.c.target, keys.c.key)
)
"""Over pairs of target and key."""
HOLDERS = select(*_COLUMNS).where(runs.c.id.in_(bindparam("wanted", expanding=True))).order_by(runs.c.id)
LOCK_KEYS = KEYS.with_for_update()
LOCK_HOLDERS = HOLDERS.with_for_update()
