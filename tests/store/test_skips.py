"""What is on record of ticks that made no run."""

from datetime import datetime, timedelta

from gateway.core.misfire import Skip
from gateway.store.schema import skips
from gateway.store.skips import list_skips, record_skips
from gateway.store.writer import Work
from tests.store.clockwork import NIGHTLY, Clockwork, configured
from tests.store.scene import HOUR, MINUTE, NOW, Scene

Told = tuple[int, int, int, str]
"""From and to, in minutes, how many, and why."""


def skip(since: int, until: int, count: int = 1, reason: str = "late") -> Skip:
    return Skip(since=NOW + since * MINUTE, until=NOW + until * MINUTE, count=count, reason=reason)


async def record(scene: Scene, *more: Skip, last_tick: int | None = None, name: str = NIGHTLY) -> None:
    last_tick_at = None if last_tick is None else NOW + last_tick * MINUTE
    await scene.database.transact(
        lambda connection: record_skips(Work(connection, scene.now), {name: (last_tick_at, more)})
    )


async def told(scene: Scene, name: str = NIGHTLY) -> list[Told]:
    return [
        ((one["from"] - NOW) // MINUTE, (one["to"] - NOW) // MINUTE, one["count"], one["reason"])
        for one in reversed(await list_skips(scene.database, name, 100))
    ]


async def test_what_goes_on_is_one_record(scene: Scene) -> None:
    await record(scene, skip(1, 5, 5))
    await record(scene, skip(6, 6))
    await record(scene, skip(7, 9, 3))

    assert await told(scene) == [(1, 9, 9, "late")]


async def test_another_reason_is_another_record(scene: Scene) -> None:
    await record(scene, skip(1, 1))
    await record(scene, skip(2, 2, reason="not during night"))
    await record(scene, skip(3, 3))

    assert await told(scene) == [(1, 1, 1, "late"), (2, 2, 1, "not during night"), (3, 3, 1, "late")]


async def test_a_tick_in_between_ends_a_record(scene: Scene) -> None:
    await record(scene, skip(1, 2, 2), last_tick=0)
    await record(scene, skip(4, 4), last_tick=3)
    await record(scene, skip(5, 5), last_tick=3)

    assert await told(scene) == [(1, 2, 2, "late"), (4, 5, 2, "late")]


async def test_schedules_have_records_of_their_own(scene: Scene) -> None:
    await record(scene, skip(1, 1), name="a")
    await record(scene, skip(1, 1), skip(2, 2), name="b")
    await record(scene, skip(2, 2), name="a")

    assert await told(scene, "a") == await told(scene, "b") == [(1, 2, 2, "late")]


async def test_records_of_one_look_come_in_any_order(scene: Scene) -> None:
    """Those of a policy reach around those of a window."""
    await record(scene, skip(2, 2, reason="not during night"), skip(1, 1, reason="too many"))
    await record(scene, skip(4, 5, 2, reason="not during night"), skip(3, 8, 4, reason="too many"))

    assert await told(scene) == [
        (1, 1, 1, "too many"),
        (2, 5, 3, "not during night"),
        (3, 8, 4, "too many"),
    ]


async def test_nothing_is_nothing(scene: Scene) -> None:
    await record(scene)

    assert await scene.rows(skips) == []


async def test_the_newest_come_first_and_no_more_than_asked_for(scene: Scene) -> None:
    for minute in range(4):
        await record(scene, skip(minute, minute, reason=f"reason {minute}"))
    found = await list_skips(scene.database, NIGHTLY, 2)

    assert [one["reason"] for one in found] == ["reason 3", "reason 2"]
    assert [*found[0]] == ["from", "to", "count", "reason"]


async def test_t04_what_is_on_record_is_not_counted_again(scene: Scene) -> None:
    await record(scene, skip(1, 9, 9))
    await record(scene, skip(3, 5, 3))

    assert await told(scene) == [(1, 9, 9, "late")]


async def test_t04_what_comes_again_is_considered_anew(scene: Scene) -> None:
    """Also where it begins as a record did before the clock was set back, or is for another reason."""
    await record(scene, skip(1, 1, reason="too many"))
    await record(scene, skip(2, 4, 3))
    await record(scene, skip(5, 5, reason="not during night"))
    await record(scene, skip(2, 6, 5, reason="not during night"))

    assert await told(scene) == [(1, 1, 1, "too many"), (2, 6, 5, "not during night")]


async def test_t04_a_clock_that_was_set_back_stops_no_schedule(scene: Scene, clockwork: Clockwork) -> None:
    """After it, the gateway is away for a while, so that what was in a window is too old now."""
    clockwork.snapshot = configured(night={"cron": "* * * * *", "for": "1m"})
    await clockwork.create(misfire={"grace": "10m"}, not_during="night")
    for _ in range(5):
        await clockwork.turn(MINUTE)
    assert await clockwork.skips() == [(NOW + MINUTE, NOW + 5 * MINUTE, 5, "not during night")]
    scene.wait(-HOUR)
    await clockwork.look_again()
    await clockwork.turn()
    await clockwork.turn(2 * HOUR)

    assert await clockwork.skips() == [
        (NOW - 54 * MINUTE, NOW + 54 * MINUTE, 109, "older than misfire.grace (10m)"),
        (NOW + 55 * MINUTE, NOW + 65 * MINUTE, 11, "not during night"),
    ]


async def test_records_hold_instants_to_the_microsecond(scene: Scene) -> None:
    instant: datetime = NOW + timedelta.resolution
    await record(scene, Skip(since=instant, until=instant, count=1, reason="late"))

    assert [(row.schedule, getattr(row, "from"), row.to) for row in await scene.rows(skips)] == [
        (NIGHTLY, instant, instant)
    ]


async def test_x07_and_policies_leave_nothing_out_together(scene: Scene, clockwork: Clockwork) -> None:
    """What is in a window, what is too late, and what a run is in the way of."""
    clockwork.snapshot = configured(night={"cron": "*/2 * * * *", "for": "1s"})
    await clockwork.create(misfire={"policy": "skip"}, overlap="skip", not_during="night")
    await clockwork.turn(3 * MINUTE)
    await clockwork.turn(4 * MINUTE)

    (run,) = await clockwork.runs()
    assert run.scheduled_for == NOW + 3 * MINUTE
    late = "late, and misfire.policy is skip"
    assert await clockwork.skips() == [
        (NOW + MINUTE, NOW + MINUTE, 1, late),
        (NOW + 2 * MINUTE, NOW + 2 * MINUTE, 1, "not during night"),
        (NOW + 4 * MINUTE, NOW + 6 * MINUTE, 2, "not during night"),
        (NOW + 5 * MINUTE, NOW + 5 * MINUTE, 1, late),
        (NOW + 7 * MINUTE, NOW + 7 * MINUTE, 1, f"run {run.id} is not over"),
    ]
