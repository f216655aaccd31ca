"""Acts: what somebody does by hand, put on record in the transaction in which it is done.

Who acts is known to the task that carries out a request, and so to all that it calls: nothing on the way to the
database has to pass it on, and nothing can forget to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic

import orjson
from sqlalchemy import bindparam, select, update

from gateway.core.ids import new_id
from gateway.store.bulk import insert_rows, select_rows
from gateway.store.schema import audit
from gateway.store.writer import A, Transaction, Work

MAX_ASKED = 16_384
"""Bytes of what was asked for, as JSON; nothing is kept of more."""
_OF_OTHERS = frozenset({"payload", "data", "object"})
"""What is about the world rather than about the gateway is not kept for as long as the audit trail."""


@dataclass(slots=True, kw_only=True)
class Act:
    """Who does what to what, and why; `name` says which one of its kind."""

    actor: str
    address: str | None = None
    action: str
    kind: str
    name: str | None = None
    reason: str | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)

    def hear(self, body: Mapping[str, Any]) -> None:
        """Takes what is worth keeping from the body of a request."""
        said = dict(body)
        self.reason = said.pop("reason", None) or self.reason
        self.name = self.name or said.pop("name", None)
        self.asked = {field: value for field, value in said.items() if field not in _OF_OTHERS}


_present: ContextVar[Act | None] = ContextVar("act", default=None)


@contextmanager
def acting(act: Act) -> Iterator[None]:
    """What is committed meanwhile, by this task and those that it starts, is this act."""
    token = _present.set(act)
    try:
        yield
    finally:
        _present.reset(token)


def present_act() -> Act | None:
    """The one that this task carries out, if it does."""
    return _present.get()


@dataclass(frozen=True, slots=True)
class Acted(Generic[A]):
    """A request to the database, and the act that it is of."""

    request: A
    act: Act


@cache
def on_record(transaction: Transaction[Any, Any]) -> Transaction[Acted[Any], Any]:
    """The same transaction, which also records acts; what it refuses was not done."""

    def carry_out(work: Work, acted: Sequence[Acted[Any]]) -> Sequence[Any]:
        results = transaction(work, [one.request for one in acted])
        done = [(one.act, result) for one, result in zip(acted, results, strict=True)]
        _record(work, [(act, result) for act, result in done if not isinstance(result, Exception)])
        return results

    return carry_out


_RECORDED = select(audit.c.id).where(audit.c.id.in_(bindparam("wanted", expanding=True)))
_COUNT_MORE = (
    update(audit).where(audit.c.id == bindparam("of_act")).values(count=audit.c.count + bindparam("more"), outcome=None)
)


def _record(work: Work, done: Sequence[tuple[Act, Any]]) -> None:
    """A row for each act; where several things come of it, in whatever transactions, they are counted instead."""
    recorded = {row.id for row in select_rows(work.connection, _RECORDED, {act.id for act, _ in done})}
    rows: dict[str, dict[str, Any]] = {}
    more: dict[str, int] = {}
    for act, result in done:
        if act.id not in recorded:
            rows[act.id] = _row(work, act, result)
            recorded.add(act.id)
        elif outcome_of(result) is not None and not work.repeated:  # that may have been counted before
            more[act.id] = more.get(act.id, 0) + 1
    insert_rows(work.connection, audit, list(rows.values()))
    if more:
        work.connection.execute(_COUNT_MORE, [{"of_act": act, "more": more[act]} for act in sorted(more)])


def _row(work: Work, act: Act, result: Any) -> dict[str, Any]:
    asked = orjson.dumps(act.asked)
    return {
        "id": act.id,
        "at": work.now,
        "actor": act.actor,
        "address": act.address,
        "action": act.action,
        "kind": act.kind,
        "name": act.name,
        "reason": act.reason,
        "asked": asked if act.asked and len(asked) <= MAX_ASKED else None,
        "outcome": outcome_of(result),
        "count": 1,
    }


def outcome_of(result: Any) -> str | None:
    """What came of it, as far as its transaction says."""
    match result:
        case str():
            return str(result)
        case [first, *_]:
            return outcome_of(first)
        case _:
            outcome: str | None = getattr(result, "outcome", None)
            return outcome
