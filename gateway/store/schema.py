"""The tables. Every fact is in one place; the order of columns is the order of a row's life.

`events` holds what happened and what was decided, `runs` what follows from it, `keys` is the enqueue-once table, and
`run_events` lists the events a run merged beyond its first. `claimable` marks the runs that could start as soon as they
are due, so that the index a claim reads holds nothing else. `schedules` says how far each schedule has been considered
and when to look at it next, `skips` which of its ticks made no run, and `leadership` whose task that is. `live_logs`
holds what calls in progress have said so far, and `pauses` what people stopped beside targets and schedules. `alarms`
says what is wrong, and who was told of it. `audit` is who did what, and `counts` how much happened: sums of what the
other tables say, kept because nobody can count their rows while somebody waits.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

from gateway.core.run import CLAIMABLE, UNFINISHED, State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Id = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Name = String(100)


class Timestamp(TypeDecorator[datetime]):
    """An instant, stored as whole microseconds since 1970: the same arithmetic on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - likewise
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Span(TypeDecorator[timedelta]):
    """A length of time, stored as whole microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:  # noqa: ARG002 - likewise
        return None if value is None else timedelta(microseconds=value)


class Prose(TypeDecorator[str]):
    """Text that targets and people wrote; what no database can store, NUL and half a character, is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return (
            None
            if value is None
            else value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        )


def _changed() -> Column[int]:
    """The number of the transaction that wrote a row last: see `gateway.store.changes`."""
    number = func.txid_current(type_=BigInteger)
    return Column("changed", BigInteger, nullable=False, default=number, onupdate=number, server_default=text("0"))


metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Name, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text),
    Column("sender_id", Text),
    Column("time", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("details", LargeBinary, nullable=False),  # object, changed, headers, cause: JSON, never searched
    Column("decisions", LargeBinary, nullable=False),
    Column("verbs", String(100), nullable=False),  # of the decisions, for lists that filter by them
    Column("delivery_scope", Name),
    Column("delivery_id", Text),
    Column("delivery_until", Timestamp),
    Column("deliveries", Integer, nullable=False, default=1),
    _changed(),
)
has_delivery = events.c.delivery_id.is_not(None)
has_error = events.c.verbs.like(literal_column("'%error%'"))
Index(
    "delivery_key",
    events.c.delivery_id,  # the telling column first: a young database has no statistics to find it by
    events.c.delivery_scope,
    unique=True,
    sqlite_where=has_delivery,
    postgresql_where=has_delivery,
)
Index("events_changed", events.c.changed, events.c.id)
Index("events_with_errors", events.c.id, sqlite_where=has_error, postgresql_where=has_error)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("state", String(10), nullable=False),
    Column("target", Name, nullable=False),
    Column("trigger", Name),
    Column("schedule", Name),
    Column("key", Text),
    Column("lane", Text),
    Column("payload", LargeBinary, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("claimable", Boolean, nullable=False),
    Column("behind", Id),
    Column("created_at", Timestamp, nullable=False),
    Column("due_at", Timestamp, nullable=False),
    Column("not_before", Timestamp),  # a floor for due_at that no merge goes below
    Column("started_at", Timestamp),
    Column("attempt_started_at", Timestamp),
    Column("finished_at", Timestamp),
    Column("attempt", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("losses", Integer, nullable=False, default=0),
    Column("node_id", Id),
    Column("cancelling", Boolean, nullable=False, default=False),
    Column("event_id", Id),
    Column("events", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("origin_event_id", Id),
    Column("depth", Integer, nullable=False),
    Column("reason", Prose),
    Column("output", LargeBinary),
    Column("requested_by", Name),
    Column("retried_from", Id),
    Column("superseded_by", Id),
    Column("scheduled_for", Timestamp),
    Column("missed", Integer),
    Column("expires_at", Timestamp),
    Column("fresh_for", Span),
    Column("origins", Text, nullable=False, default="", server_default=text("''")),  # who asked for it
    Column("paused", Boolean, nullable=False, default=False, server_default=false()),  # put aside: see `paused_runs`
    Column("waited", Span, nullable=False, default=timedelta(0), server_default=text("0")),  # due in vain since started
    Column("handle", LargeBinary),  # of a job at the target: JSON
    Column("following", Boolean, nullable=False, default=False, server_default=false()),  # that job may go on
    Column("progress", LargeBinary),
    Column("traceparent", String(55)),  # of the sender of its first event
    _changed(),
)
# literals, not parameters: only so do both planners see that a partial index fits
is_claimable = runs.c.claimable.is_(True)
is_running = runs.c.state == literal_column(f"'{State.RUNNING}'")
is_unfinished = runs.c.state.in_([literal_column(f"'{state}'") for state in State if state in UNFINISHED])
is_behind = runs.c.behind.is_not(None)
is_success = runs.c.state == literal_column(f"'{State.SUCCEEDED}'")
has_succeeded = is_success & runs.c.key.is_not(None)
may_expire = (runs.c.state == literal_column(f"'{State.QUEUED}'")) & runs.c.expires_at.is_not(None)
may_be_fresh = is_claimable & runs.c.fresh_for.is_not(None)
_waits = runs.c.state.in_([literal_column(f"'{state}'") for state in State if state in CLAIMABLE])
waits_in_lane = runs.c.lane.is_not(None) & _waits
waits_for_seat = waits_in_lane & runs.c.paused.is_(False)
is_put_aside = runs.c.paused.is_(True) & _waits


def _partial(name: str, where: Any, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


Index("runs_changed", runs.c.changed, runs.c.id)
_partial("runs_claimable", is_claimable, runs.c.target, runs.c.priority, runs.c.due_at, runs.c.id)
_partial("runs_running", is_running, runs.c.target, runs.c.lane, runs.c.node_id)
_partial("runs_in_lane", waits_for_seat, runs.c.target, runs.c.lane, runs.c.priority, runs.c.due_at, runs.c.id)
_partial("runs_in_lane_by_age", waits_in_lane, runs.c.target, runs.c.lane, runs.c.created_at, runs.c.id)
_partial("runs_behind", is_behind, runs.c.behind)
_partial("runs_unfinished_event", is_unfinished, runs.c.event_id)
_partial("runs_succeeded", has_succeeded, runs.c.target, runs.c.key, runs.c.started_at)
_partial("runs_successes", is_success, runs.c.target, runs.c.finished_at)
_partial("runs_expiring", may_expire, runs.c.expires_at)
_partial("runs_to_be_fresh", may_be_fresh, runs.c.target, runs.c.due_at)

keys = Table(
    "keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("target", Name, primary_key=True),
    Column("run_id", Id, nullable=False),
    Column("held_until", Timestamp),
    sqlite_with_rowid=False,
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("event_id", Id, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("node", Name),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("status", Integer),
    Column("reason", Prose),
    Column("log", Prose, nullable=False),
    Column("dropped", Integer, nullable=False, default=0, server_default=text("0")),  # lines before those of the log
    sqlite_with_rowid=False,
)

live_logs = Table(
    "live_logs",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Prose, nullable=False),
    sqlite_with_rowid=False,
)

pauses = Table(
    "pauses",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("name", Name, primary_key=True),
    Column("key", Text, primary_key=True),  # empty where all keys are meant
    Column("paused_at", Timestamp, nullable=False),
    Column("paused_until", Timestamp),
    Column("paused_by", Name, nullable=False),
    Column("pause_reason", Prose),
    sqlite_with_rowid=False,
)

paused_runs = Table(  # those put aside, and each pause whose end may let them go on
    "paused_runs",
    metadata,
    Column("pause", Text, primary_key=True),
    Column("run_id", Id, primary_key=True),
    sqlite_with_rowid=False,
)

targets = Table(
    "targets",
    metadata,
    Column("name", Name, primary_key=True),
    Column("paused", Boolean, nullable=False, default=False),
    Column("paused_until", Timestamp),
    Column("paused_by", Name),
    Column("pause_reason", Prose),
    Column("breaker_failures", Integer, nullable=False, default=0),
    Column("breaker_pause", Span),
    Column("open_until", Timestamp),
    Column("next_call_at", Timestamp),  # what its rate allows, after the calls so far
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Name, nullable=False),
    Column("version", String(40), nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("labels", LargeBinary, nullable=False),
    Column("targets", LargeBinary, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("lease_until", Timestamp),  # empty on SQLite, where the owner of the file is the only node
)

leadership = Table(
    "leadership",
    metadata,
    Column("name", Name, primary_key=True),  # there is one row
    Column("epoch", Integer, nullable=False),
    Column("node_id", Id, nullable=False),
    Column("node", Name, nullable=False),
    Column("lease_until", Timestamp, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Name, primary_key=True),
    Column("origin", String(4), nullable=False),
    Column("definition", LargeBinary, nullable=False),  # the fields of the YAML, as JSON
    Column("timing", String(64), nullable=False),  # a hash of those that say when it is due
    Column("timezone", String(100), nullable=False),
    Column("zone_rules", String(64), nullable=False),  # a hash of what the time zone meant when `next_at` was computed
    Column("continuous", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),  # counts all changes but those that ticks make
    Column("anchor", Timestamp, nullable=False),  # when it was created, or its timing changed
    Column("cursor", Timestamp, nullable=False),  # the last instant considered
    Column("next_at", Timestamp),  # when the leader looks at it again
    Column("ticks", BigInteger, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),  # runs in a row, of a continuous one
    Column("last_tick_at", Timestamp),
    Column("last_run_id", Id),
    Column("paused", Boolean, nullable=False, default=False),
    Column("paused_until", Timestamp),
    Column("paused_by", Name),
    Column("pause_reason", Prose),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("updated_by", Name),
    Column("removed_at", Timestamp),
)
is_looked_at = schedules.c.next_at.is_not(None)
is_continuous = schedules.c.continuous.is_(True)
_partial("schedules_next", is_looked_at, schedules.c.next_at)
_partial("schedules_continuous", is_continuous, schedules.c.last_run_id)

skips = Table(
    "skips",
    metadata,
    Column("schedule", Name, primary_key=True),
    Column("from", Timestamp, primary_key=True),
    Column("to", Timestamp, nullable=False),
    Column("count", Integer, nullable=False),
    Column("reason", Prose, nullable=False),
    sqlite_with_rowid=False,
)
Index("skips_by_end", skips.c.to)

alarms = Table(
    "alarms",
    metadata,
    Column("name", Name, primary_key=True),
    Column("key", Text, primary_key=True),  # empty where there is none
    Column("kind", String(10), primary_key=True),
    Column("what", String(20), primary_key=True),
    Column("since", Timestamp, nullable=False),
    Column("latest", Timestamp, nullable=False),
    Column("times", Integer, nullable=False),
    Column("raised", Boolean, nullable=False),
    Column("told", LargeBinary, nullable=False),  # when each alert was told last: JSON
    sqlite_with_rowid=False,
)
Index("alarms_by_age", alarms.c.latest)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Timestamp, nullable=False),
    Column("actor", Name, nullable=False),
    Column("address", String(45)),
    Column("action", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("name", Prose),
    Column("reason", Prose),
    Column("asked", LargeBinary),  # what else was asked for: JSON
    Column("outcome", Prose),
    Column("count", Integer, nullable=False),
)

counts = Table(
    "counts",
    metadata,
    Column("period", Timestamp, primary_key=True),  # when it began
    Column("source", Name, primary_key=True),
    Column("trigger", Name, primary_key=True),
    Column("target", Name, primary_key=True),
    Column("what", String(20), primary_key=True),
    Column("writer", Integer, primary_key=True, autoincrement=False),  # no two transactions wait for each other's rows
    Column("number", BigInteger, nullable=False),
    Column("last_event_id", String(36)),
    sqlite_with_rowid=False,
)
