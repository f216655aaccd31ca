"""Points at which a gateway dies, from one instruction to the next: as with SIGKILL, nothing of it is tidied up."""

import functools
import importlib
import inspect
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DIED = 86
TICKS_BEFORE = 3


@dataclass(frozen=True, slots=True)
class Failpoint:
    """When a function has returned and its result says that this is the moment; or before, as its arguments say."""

    module: str
    function: str
    fits: Callable[[Any], bool] = lambda _: True
    before: bool = False


def _has_late(attempts: Any) -> bool:
    return any(one and b"late" in one.run.payload for one in attempts)


def _is_under_way(tickings: Any) -> bool:
    """Whether the schedules have made ticks before, and are to make others."""
    return any(ticking.stored.ticks >= TICKS_BEFORE and ticking.acceptances for ticking in tickings)


ACCEPTING = {
    "accept.read": Failpoint("gateway.web.hooks", "read"),
    "accept.verified": Failpoint("gateway.sources.webhook", "WebhookSource.to_events"),
    "accept.inserted": Failpoint("gateway.runtime.intake", "accept"),
    "accept.committed": Failpoint("gateway.runtime.intake", "Intake.accept"),
    "accept.answered": Failpoint("gateway.web.hooks", "_answer"),
}
CONSUMING = {
    "consume.committed": Failpoint("gateway.runtime.consuming", "Consuming._take"),
}
RUNNING = {
    "run.claimed": Failpoint("gateway.runtime.dispatcher", "claim", any),  # not committed yet
    "run.started": Failpoint("gateway.runtime.dispatcher", "Dispatcher._start"),  # not called yet
    "run.called": Failpoint("gateway.targets.exchange", "exchange"),  # the target has answered
    "run.settled": Failpoint("gateway.runtime.dispatcher", "settle_attempts"),  # not committed yet
    "run.committed": Failpoint("gateway.runtime.dispatcher", "Dispatcher._settle"),
}
OF_THE_EVENT_LATE = {  # the runs of other events go on
    "late.settling": Failpoint(
        "gateway.runtime.dispatcher", "settle_attempts", lambda arguments: _has_late(arguments[1]), before=True
    ),
    "late.settled": Failpoint("gateway.runtime.dispatcher", "settle_attempts", _has_late),  # not committed yet
}
TICKING = {
    "tick.planned": Failpoint("gateway.runtime.ticker", "_look_at_all", _is_under_way),
}
FAILPOINTS = {**ACCEPTING, **CONSUMING, **RUNNING, **OF_THE_EVENT_LATE, **TICKING}


def die_at(name: str) -> None:
    _act_after(FAILPOINTS[name], lambda: os._exit(DIED))


def freeze_at(name: str) -> None:
    """Stops as with SIGSTOP; whoever sends SIGCONT lets it go on from there."""
    _act_after(FAILPOINTS[name], lambda: os.kill(os.getpid(), signal.SIGSTOP))


def _act_after(point: Failpoint, act: Callable[[], None]) -> None:
    *path, name = point.function.split(".")
    owner = functools.reduce(getattr, path, importlib.import_module(point.module))
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        if point.before and point.fits(arguments):
            act()
        result = function(*arguments, **named)
        if inspect.isawaitable(result):
            return _after(result)
        return _checked(result)

    async def _after(result: Any) -> Any:
        return _checked(await result)

    def _checked(result: Any) -> Any:
        if not point.before and point.fits(result):
            act()
        return result

    setattr(owner, name, wrapper)
