"""Deliberate defects, each a place in the source and what would stand there if somebody got it wrong.

A test that lets one of them pass is no test. The text must occur exactly once, so that a defect follows the code.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from types import CodeType, ModuleType


@dataclass(frozen=True, slots=True)
class Mutation:
    module: str
    right: str
    wrong: str


MUTATIONS = {
    "acknowledges-before-the-commit": Mutation(
        "gateway.runtime.intake",
        "accepted = await self._database.commit(accept, acceptances)",
        "import asyncio\n"
        "        loop = asyncio.get_running_loop()\n"
        "        loop.call_later(0.05, lambda: loop.create_task(self._database.commit(accept, acceptances)))\n"
        "        accepted = [Accepted(event_id=one.event.id) for one in acceptances]",
    ),
    "settles-before-the-call": Mutation(
        "gateway.runtime.dispatcher",
        "outcome = await attempt.perform()\n            await self._settle(attempt, outcome)",
        "from gateway.core.outcome import Succeeded\n"
        "            await self._settle(attempt, Succeeded())\n"
        "            await attempt.perform()",
    ),
    "settles-without-fence": Mutation(
        "gateway.store.settle",
        "(row.state, row.node_id, row.attempt) != (State.RUNNING, one.run.node_id, one.run.attempt):\n        return",
        "object.__setattr__(one.run, 'attempt', row.attempt):\n        return",
    ),
    "leads-without-epoch": Mutation(
        "gateway.store.leadership",
        "return and_(_of_clock, is_its_own, leadership.c.epoch == leading.epoch, _lasts)",
        "return and_(_of_clock, is_its_own, _lasts)",
    ),
    "ticks-whatever-was-made-since": Mutation(
        "gateway.store.tick",
        "seen == (now.version, now.cursor, now.ticks)",
        "bool(seen)",
    ),
    "claims-without-the-lock-of-the-target": Mutation(
        "gateway.store.claim",
        'targets.c.name == bindparam("of_target")).with_for_update()',
        'targets.c.name == bindparam("of_target"))',
    ),
    "claims-while-the-breaker-is-open": Mutation(
        "gateway.store.claim",
        "if target.open_until is not None:",
        "if False:",
    ),
    "begins-deferred": Mutation(
        "gateway.store.database",
        'begin = "BEGIN IMMEDIATE" if write else "BEGIN"',
        'begin = "BEGIN"',
    ),
    "holds-no-delivery": Mutation(
        "gateway.sources.webhook",
        "delivery=self._delivery(sender_id or self._replay_of(received, number))",
        "delivery=None",
    ),
    "drops-what-comes-during-a-run": Mutation(
        "gateway.core.once",
        "Holder.RUNNING:     (_BEHIND, ",
        "Holder.RUNNING:     (_DUPLICATE, ",
    ),
    "merges-into-a-run-in-progress": Mutation(
        "gateway.core.once",
        "Holder.RUNNING:     (_BEHIND,    _DUPLICATE,",
        "Holder.RUNNING:     (_BEHIND,    _MERGE,",
    ),
    "filters-in-silence": Mutation(
        "gateway.core.plan",
        "    if refusal:\n        yield refusal, None\n        return",
        "    if refusal:\n        return",
    ),
    "retries-without-jitter": Mutation(
        "gateway.core.retry",
        "timedelta(seconds=bound * rand())",
        "timedelta(seconds=bound)",
    ),
    "counts-a-shutdown-as-an-attempt": Mutation(
        "gateway.core.settle",
        "case BrokenOff():\n            return _settlement(run, Move.RETRY, outcome, due_at=now)",
        "case BrokenOff():\n"
        "            return _after_failure(run, RetryableFailure(reason=outcome.reason), policy, now, rand)",
    ),
    "streams-end-well": Mutation(
        "gateway.targets.events",
        "return RetryableFailure(reason=reason, status=self._head.status)",
        "return Succeeded(reason=reason, status=self._head.status)",
    ),
    "ticks-have-no-key": Mutation(
        "gateway.core.tick",
        "id=derived_id(tick.instant, TICK, name) if tick.number is None else new_id(),",
        "id=new_id(),",
    ),
    "ticks-without-epoch": Mutation(
        "gateway.store.tick",
        "if refused := refusal(work, (ticking.leading for ticking in tickings)):",
        "if refused := None:",
    ),
    "misfires-are-forgotten": Mutation(
        "gateway.core.misfire",
        "skips.append(_late(schedule, times.after(cursor), latest(times, cursor, fresh), too_old))",
        "pass",
    ),
    # No defect: timers go off a little early, as those of some machines do.
    "wakes-early": Mutation(
        "gateway.runtime.ticker",
        "async with asyncio.timeout(seconds):",
        "async with asyncio.timeout(max(0.0, seconds - 0.02)):",
    ),
    # No defect: containers have the same hostname and number their processes from one.
    "same-hostname-and-pid": Mutation(
        "gateway.runtime.lease",
        'name=f"{socket.gethostname()}:{os.getpid()}"',
        'name="container:1"',
    ),
    # No defect: a queue short enough to fill it in a test.
    "short-queue": Mutation("gateway.store.writer", "MAX_WAITING = 5000", "MAX_WAITING = 20"),
}


def mutate(names: Sequence[str]) -> None:
    """Makes this process import its modules with these defects."""
    sys.meta_path.insert(0, _Finder([MUTATIONS[name] for name in names]))


def module_with(name: str) -> ModuleType:
    """The module with this defect, for a test of it alone; what has been imported stays right."""
    mutation = MUTATIONS[name]
    spec = find_spec(mutation.module)
    if spec is None or spec.origin is None:
        raise ImportError(f"there is no {mutation.module}")
    module = module_from_spec(spec)
    _Loader(mutation.module, spec.origin, [mutation]).exec_module(module)
    return module


class _Finder(MetaPathFinder):
    def __init__(self, mutations: Sequence[Mutation]) -> None:
        self._mutations = mutations

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = [mutation for mutation in self._mutations if mutation.module == fullname]
        spec = PathFinder.find_spec(fullname, path) if mine else None
        if spec and spec.origin:
            spec.loader = _Loader(fullname, spec.origin, mine)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutations: Sequence[Mutation]) -> None:
        super().__init__(fullname, path)
        self._mutations = mutations

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname) or ""
        for mutation in self._mutations:
            if source.count(mutation.right) != 1:
                raise ImportError(f"{fullname} does not contain exactly once: {mutation.right}")
            source = source.replace(mutation.right, mutation.wrong)
        return compile(source, self.path, "exec", dont_inherit=True)
