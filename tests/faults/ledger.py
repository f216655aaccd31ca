"""The ledger: what was accepted and what was done must add up, once nothing is pending any more."""

from collections import Counter
from typing import Any

from tests.gateway_client import GatewayClient
from tests.target_server import Call, TargetServer


class Ledger:
    """Compares the acceptances that senders saw with the calls that the target saw, by the events' ids."""

    def __init__(self, accepted: dict[str, Any], target: TargetServer) -> None:
        self._accepted = accepted
        self._target = target

    @property
    def lost(self) -> set[str]:
        """Accepted, and never done: that a call began is not enough, it must have come to its end."""
        return self._accepted.keys() - {_event(call) for call in self._target.answered}

    @property
    def repeated(self) -> int:
        """Calls beyond the first of each run."""
        return sum(count - 1 for count in Counter(call.idempotency_key for call in self._target.calls).values())

    @property
    def doubled(self) -> set[str]:
        """Events with more than one run: `Idempotency-Key` is the run's id."""
        runs = {(_event(call), call.idempotency_key) for call in self._target.calls}
        return {event for event, count in Counter(event for event, _ in runs).items() if count > 1}

    async def check(self, client: GatewayClient, *, repeatable: int, seconds: float = 60) -> None:
        """Waits until nothing is pending, then judges; `repeatable` is kills times calls in flight."""
        await client.wait_until_idle(seconds=seconds)
        lost = self.lost - await _known_to_have_failed(client)
        assert not lost, f"lost {len(lost)} of {len(self._accepted)}: {sorted(lost)[:10]}"
        assert not self.doubled, f"more than one run: {sorted(self.doubled)[:10]}"
        assert self.repeated <= repeatable, f"{self.repeated} calls repeated, {repeatable} allowed"


async def _known_to_have_failed(client: GatewayClient) -> set[str]:
    """Who was being called at five kills is given up, and the run says so: that is no loss in silence."""
    failed = await client.runs(state="failed")
    return {run["payload"]["id"] for run in failed if "gave up after 5 losses" in run["reason"]}


def _event(call: Call) -> str:
    event_id: str = call.json["id"]
    return event_id
