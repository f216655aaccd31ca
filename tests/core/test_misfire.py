"""What is due and late: against what the policies say, looked up instant by instant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.misfire import MAX_AT_ONCE, Considered, Skip, Tick, consider
from gateway.core.schedule import Schedule
from gateway.core.times import NEVER, Times
from gateway.core.window import Window
from tests.core.due import utc
from tests.faults.mutations import module_with

START = utc("2027-01-15T22:00Z")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
YEARS = timedelta(days=3652)
INSTANT = timedelta.resolution

OLD, WINDOW, TOO_MANY = "older than misfire.grace", "not during", "more than misfire.max"
LATE, TOO_MANY_AT_ONCE = "late, and misfire.policy is skip", f"more than {MAX_AT_ONCE} were due at once"

NIGHT = Window.model_validate({"cron": "*/10 * * * *", "for": "3m"})


@dataclass(frozen=True)
class Sample:
    """A timing, and whether it is due at a whole second, told without any of the code in question."""

    fields: dict[str, Any]
    is_due: Callable[[datetime], bool] = field(repr=False)


def interval(seconds: int) -> Sample:
    fields = {"interval": f"{seconds}s", "anchor": START.isoformat()}
    return Sample(fields, lambda instant: (instant - START) % (seconds * SECOND) == timedelta(0))


def seconds(step: int) -> Sample:
    return Sample({"cron": f"*/{step} * * * * *"}, lambda instant: instant.second % step == 0)


def minutes(*listed: int) -> Sample:
    fields = {"cron": f"{','.join(map(str, listed))} * * * *"}
    return Sample(fields, lambda instant: instant.second == 0 and instant.minute in listed)


def either(*members: Sample) -> Sample:
    fields = {"any": [member.fields for member in members]}
    return Sample(fields, lambda instant: any(member.is_due(instant) for member in members))


SAMPLES = st.sampled_from(
    [
        *(interval(1), interval(7), interval(600)),
        *(seconds(5), seconds(17), minutes(0, 30, 31, 59)),
        *(either(interval(45), seconds(30)), either(minutes(3), minutes(3, 4))),
    ]
)
SPANS = st.one_of(st.integers(0, 30).map(lambda n: n * SECOND), st.integers(0, 25).map(lambda n: n * MINUTE))
ODD = st.sampled_from([timedelta(0), INSTANT, 500 * INSTANT, SECOND - INSTANT])


def schedule(fields: dict[str, Any], **misfire: Any) -> Schedule:
    return Schedule.model_validate({"target": "sync", "not_during": "night", "misfire": misfire} | fields)


def look(fields: dict[str, Any], cursor: datetime, now: datetime, **misfire: Any) -> Considered:
    one = schedule(fields, **misfire)
    return consider(one, one.due_times("nightly", START), cursor, now, None)


def due(sample: Sample, cursor: datetime, now: datetime) -> list[datetime]:
    """All in (cursor, now], by trying each second."""
    first = cursor.replace(microsecond=0) + SECOND
    each = [first + n * SECOND for n in range(int((now - first) / SECOND) + 2)]
    return [instant for instant in each if cursor < instant <= now and sample.is_due(instant)]


def after(sample: Sample, instant: datetime) -> datetime:
    return next(iter(due(sample, instant, instant + 2 * HOUR)))


def told(considered: Considered) -> list[tuple[datetime, datetime, int, str]]:
    """The records of skips, in order, and without what their reasons say about numbers."""
    return sorted((skip.since, skip.until, skip.count, skip.reason.partition(" (")[0]) for skip in considered.skips)


def in_places(considered: Considered) -> int:
    """How many due instants have become something."""
    return sum(1 + tick.missed for tick in considered.ticks) + sum(skip.count for skip in considered.skips)


def record(instants: Sequence[datetime], reason: str) -> list[tuple[datetime, datetime, int, str]]:
    return [(instants[0], instants[-1], len(instants), reason)] if instants else []


def groups(instants: Sequence[datetime]) -> list[Any]:
    """The unbroken stretches of those in the first three of ten minutes."""
    parts = [(is_open, list(part)) for is_open, part in groupby(instants, lambda instant: instant.minute % 10 < 3)]
    return [one for is_open, part in parts if is_open for one in record(part, f"{WINDOW} night")]


def expected(
    instants: list[datetime], now: datetime, grace: timedelta, policy: str, most: int, *, window: bool
) -> tuple[list[Tick], list[Any]]:
    """The text about ticks, sentence by sentence."""
    old = [instant for instant in instants if now - instant > grace]
    rest = [instant for instant in instants if now - instant <= grace]
    blocked = groups(rest) if window else []
    wanted = [instant for instant in rest if not window or instant.minute % 10 >= 3]
    skips = record(old, OLD) + blocked
    if not wanted:
        return [], skips
    if policy == "once":
        since = wanted[0] if len(wanted) > 1 else None
        return [Tick(instant=wanted[-1], missed=len(wanted) - 1, missed_since=since)], skips
    if policy == "all":
        ticks = [Tick(instant=instant, alone=len(wanted) > 1) for instant in wanted[-most:]]
        return ticks, skips + record(wanted[:-most], TOO_MANY)
    if now - wanted[-1] < 5 * SECOND:
        return [Tick(instant=wanted[-1])], skips + record(wanted[:-1], LATE)
    return [], skips + record(wanted, LATE)


EDGE = {
    "sample": interval(600),
    "offset": 0,
    "odd": timedelta(0),
    "behind": 600 * SECOND,
    "grace": timedelta(0),
    "policy": "once",
    "most": 1,
    "window": False,
}


@given(
    sample=SAMPLES,
    offset=st.integers(0, 3600),
    odd=ODD,
    behind=SPANS,
    grace=SPANS,
    policy=st.sampled_from(["once", "all", "skip"]),
    most=st.integers(1, 12),
    window=st.booleans(),
)
@example(**EDGE)
@example(**EDGE | {"odd": INSTANT})
@example(**EDGE | {"policy": "skip", "offset": 4, "odd": SECOND - INSTANT, "grace": MINUTE})
@example(**EDGE | {"policy": "skip", "offset": 5, "grace": MINUTE})
@settings(deadline=None)
def test_p6_each_due_instant_is_in_exactly_one_place(
    *,
    sample: Sample,
    offset: int,
    odd: timedelta,
    behind: timedelta,
    grace: timedelta,
    policy: str,
    most: int,
    window: bool,
) -> None:
    """A tick, what a tick has missed, or a record of what was skipped."""
    now = START + offset * SECOND + odd
    one = schedule(sample.fields, grace=grace, policy=policy, max=most)
    considered = consider(one, one.due_times("nightly", START), now - behind, now, NIGHT if window else None)
    instants = due(sample, now - behind, now)
    ticks, skips = expected(instants, now, grace, policy, most, window=window)

    assert list(considered.ticks) == ticks
    assert told(considered) == sorted(skips)
    assert (considered.cursor, considered.next_at) == (now, after(sample, now))
    assert in_places(considered) == len(instants)


def test_c08_misfires_that_leave_no_record_come_to_light() -> None:
    wrong = module_with("misfires-are-forgotten")
    one = schedule({"interval": "1m"}, grace="0s")
    considered = wrong.consider(one, one.due_times("nightly", START), START, START + HOUR, None)

    assert in_places(look({"interval": "1m"}, START, START + HOUR, grace="0s")) == 60
    assert in_places(considered) == 1


@given(SAMPLES, st.lists(st.one_of(SPANS, ODD), min_size=1, max_size=8), st.sampled_from(["once", "all", "skip"]))
@settings(deadline=None)
def test_p6_it_does_not_matter_how_often_one_looks(sample: Sample, spans: list[timedelta], policy: str) -> None:
    """What one look leaves to the next is neither lost nor considered twice."""
    one, cursor, now, counted = schedule(sample.fields, policy=policy), START, START, 0
    for span in spans:
        now += span
        considered = consider(one, one.due_times("nightly", START), cursor, now, None)
        counted += in_places(considered)
        cursor = considered.cursor

    assert counted == len(due(sample, START, now))


@given(SAMPLES, st.integers(0, 3600), ODD, SPANS)
@settings(deadline=None)
def test_t04_a_cursor_far_ahead_starts_again_from_now(
    sample: Sample, offset: int, odd: timedelta, ahead: timedelta
) -> None:
    """More than a period: so that a clock that was set back leaves no silence longer than that."""
    now = START + offset * SECOND + odd
    one = schedule(sample.fields)
    considered = consider(one, one.due_times("nightly", START), now + ahead, now, None)
    first = after(sample, now)
    period = after(sample, first) - first
    cursor = now if ahead > period else now + ahead

    assert considered == Considered(cursor=cursor, next_at=after(sample, cursor))


@pytest.mark.parametrize(
    ("late", "grace", "made"),
    [("0s", "0s", 1), ("1ms", "0s", 0), ("1h", "1h", 1), ("60m1ms", "1h", 0), ("1ms", "1ms", 1), ("3d", "7d", 1)],
)
def test_only_what_is_older_than_the_grace_is_skipped(late: str, grace: str, made: int) -> None:
    """Also where it is the only one that is due, which is the way that most schedules go."""
    now = START + schedule({"interval": "1s"}, grace=late).misfire.grace
    for fields in ({"at": START.isoformat()}, {"interval": "30d", "anchor": START.isoformat()}):
        considered = look(fields, START - HOUR, now, grace=grace)

        assert [tick.instant for tick in considered.ticks] == [START] * made
        assert [skip.count for skip in considered.skips] == [1] * (1 - made)


@pytest.mark.parametrize(("late", "made"), [(0 * SECOND, 1), (5 * SECOND - INSTANT, 1), (5 * SECOND, 0)])
def test_the_policy_skip_makes_only_what_is_not_late(late: timedelta, made: int) -> None:
    considered = look({"at": START.isoformat()}, START - HOUR, START + late, policy="skip")

    assert len(considered.ticks) == made
    assert told(considered) == ([] if made else [(START, START, 1, LATE)])


def test_one_alone_merges_as_usual_under_the_policy_all() -> None:
    """Only what is made up for stays apart."""
    assert look({"at": START.isoformat()}, START - HOUR, START, policy="all").ticks == (Tick(instant=START),)


def test_a_record_says_by_which_setting() -> None:
    considered = look({"interval": "1m"}, START, START + 3 * HOUR, grace="90m", policy="all", max=7)

    assert considered.skips == (
        Skip(since=START + MINUTE, until=START + 89 * MINUTE, count=89, reason="older than misfire.grace (1h30m)"),
        Skip(
            since=START + 90 * MINUTE, until=START + 173 * MINUTE, count=84, reason="more than misfire.max (7)"
        ),
    )  # fmt: skip


@pytest.mark.parametrize("cursor", [START - YEARS, START, START + YEARS])
def test_where_nothing_is_due_any_more_nobody_looks_again(cursor: datetime) -> None:
    one = schedule({"at": (START - 2 * YEARS).isoformat()})
    for times in (NEVER, one.due_times("nightly", START)):
        considered = consider(one, times, cursor, START, None)
        assert (considered.ticks, considered.skips, considered.next_at) == ((), (), None)


def test_the_last_of_all_is_made() -> None:
    considered = look({"at": START.isoformat()}, START - YEARS, START + MINUTE)

    assert considered == Considered(cursor=START + MINUTE, next_at=None, ticks=(Tick(instant=START),))


@dataclass
class Counted:
    """Counts how much it is asked."""

    times: Times
    asked: int = 0

    def after(self, instant: datetime) -> datetime | None:
        self.asked += 1
        return self.times.after(instant)

    def count(self, since: datetime, until: datetime) -> int:
        self.asked += 1
        return self.times.count(since, until)


@pytest.mark.parametrize("policy", ["once", "all", "skip"])
@pytest.mark.parametrize(("grace", "most"), [("0s", 100), ("1h", 4000), ("36500d", MAX_AT_ONCE + 500)])
@pytest.mark.parametrize("fields", [{"interval": "1s"}, {"cron": "* * * * * *"}])
def test_t05_ten_years_of_seconds_cost_little(policy: str, grace: str, most: int, fields: dict[str, Any]) -> None:
    """What is too old is counted, not gone through; and of what is not, only the newest are looked at."""
    now, one = START + YEARS, schedule(fields, grace=grace, policy=policy)
    times = Counted(one.due_times("nightly", START))
    considered = consider(one, times, START, now, None)

    assert times.asked <= most
    assert len(considered.ticks) <= one.misfire.max
    assert in_places(considered) == YEARS / SECOND
    assert (considered.cursor, considered.next_at) == (now, now + SECOND)
    assert len(considered.skips) <= 2


def test_t05_of_more_than_can_be_looked_at_the_newest_are() -> None:
    now = START + 2 * MAX_AT_ONCE * SECOND
    considered = look({"interval": "1s"}, START, now, grace="1d")

    (tick,) = considered.ticks
    (left_out,) = considered.skips
    assert tick.instant == now
    assert MAX_AT_ONCE / 2 < tick.missed + 1 <= MAX_AT_ONCE
    assert (left_out.since, left_out.reason) == (START + SECOND, TOO_MANY_AT_ONCE)
    assert left_out.until + SECOND == tick.missed_since
    assert left_out.count + tick.missed + 1 == 2 * MAX_AT_ONCE
