"""Alarms as they are stored: what is wrong, and who was told of it; locked before anybody decides to tell it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.core.alert import Alarm, Kind, Subject, What
from gateway.store.bulk import insert_rows, select_pairs
from gateway.store.schema import alarms, is_success, runs
from gateway.store.writer import Work

_FACTS = ("since", "latest", "times", "raised", "told")

_LOCK = (
    select(alarms)
    .where(alarms.c.name.in_(bindparam("firsts", expanding=True)))
    .where(alarms.c.key.in_(bindparam("seconds", expanding=True)))
    .order_by(alarms.c.name, alarms.c.key, alarms.c.kind, alarms.c.what)
    .with_for_update()
)
_SAME = [alarms.c[name] == bindparam(f"of_{name}") for name in ("name", "key", "kind", "what")]
_CHANGE = update(alarms).where(*_SAME).values({name: bindparam(f"new_{name}") for name in _FACTS})
_END = delete(alarms).where(*_SAME)


@dataclass(slots=True)
class Alarms:
    """One transaction's view of some of them."""

    work: Work
    _known: dict[tuple[What, Subject], Alarm] = field(default_factory=dict)
    _stored: dict[tuple[What, Subject], Alarm] = field(default_factory=dict)

    @classmethod
    def lock(cls, work: Work, subjects: Iterable[Subject]) -> "Alarms":
        """Those about these subjects."""
        rows = select_pairs(work.connection, _LOCK, {(subject.name, subject.key) for subject in subjects})
        stored = {(alarm.what, alarm.subject): alarm for alarm in map(_alarm, rows)}
        return cls(work, dict(stored), stored)

    def find(self, what: What, subject: Subject) -> Alarm | None:
        return self._known.get((what, subject))

    def put(self, alarm: Alarm) -> None:
        self._known[alarm.what, alarm.subject] = alarm

    def end(self, alarm: Alarm) -> None:
        """It is over."""
        del self._known[alarm.what, alarm.subject]

    def write(self) -> None:
        """Writes what has changed."""
        changed = {place: alarm for place, alarm in self._known.items() if alarm != self._stored.get(place)}
        over = [_prefixed("of", _place(*place)) for place in self._stored if place not in self._known]
        others = [
            _prefixed("of", _place(*place)) | _prefixed("new", _facts(alarm))
            for place, alarm in changed.items()
            if place in self._stored
        ]
        for statement, parameters in ((_END, over), (_CHANGE, others)):
            if parameters:
                self.work.connection.execute(statement, parameters)
        new = [_place(*place) | _facts(alarm) for place, alarm in changed.items() if place not in self._stored]
        insert_rows(self.work.connection, alarms, new)


def last_success(connection: Connection, target: str, subject: Subject | None = None) -> datetime | None:
    """When a run of the target has succeeded last; of those runs only that are the subject's."""
    latest = select(func.max(runs.c.finished_at)).where(is_success, runs.c.target == target)
    if subject and subject.kind is not Kind.TARGET:
        latest = latest.where(runs.c[subject.kind] == subject.name)
    if subject and subject.key:
        latest = latest.where(runs.c.key == subject.key)
    instant: datetime | None = connection.scalar(latest)
    return instant


def _alarm(row: Any) -> Alarm:
    return Alarm(
        what=What(row.what),
        subject=Subject(kind=Kind(row.kind), name=row.name, key=row.key),
        since=row.since,
        latest=row.latest,
        times=row.times,
        raised=row.raised,
        told={name: datetime.fromisoformat(instant) for name, instant in orjson.loads(row.told).items()},
    )


def _place(what: What, subject: Subject) -> dict[str, Any]:
    return {"name": subject.name, "key": subject.key, "kind": subject.kind, "what": what}


def _facts(alarm: Alarm) -> dict[str, Any]:
    facts = {name: getattr(alarm, name) for name in _FACTS}
    return facts | {"told": orjson.dumps(dict(alarm.told))}


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in values.items()}
