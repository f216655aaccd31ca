"""The events of a full update by proxbox-api, and the streams that they make."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from tests.target_answer import Answer

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
KEEPALIVE = b": keepalive\n\n"
STAGES = (
    "devices",
    "storage",
    "virtual-machines",
    "virtual-disks",
    "task-history",
    "backups",
    "snapshots",
    "replications",
    "backup-routines",
    "node-interfaces",
    "vm-interfaces",
    "vm-ip-addresses",
)
_FOREVER = 3600.0


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One frame: neither an id nor a time to reconnect is ever sent."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def opening(*, bootstrap_ok: bool = True) -> bytes:
    """What every stream begins with."""
    operation = str(uuid4())
    bootstrap: dict[str, Any] = {"ok": bootstrap_ok, "skipped": not bootstrap_ok, "reason": None, "warnings": []}
    if not bootstrap_ok:
        bootstrap["reason"] = "no_netbox_session: NetBox cannot be reached"
    connected = f"Full update stream connected (operation_id={operation})"
    return b"".join(
        (
            event("bootstrap_done", {**bootstrap, "created": [], "patched": [], "unchanged": []}),
            event("step", {"step": "stream", "status": "started", "message": connected}),
            event("discovery", _discovery(operation)),
        )
    )


def _discovery(operation: str) -> dict[str, Any]:
    return {
        "event": "discovery",
        "phase": "full-update",
        "status": "discovered",
        "message": f"Discovered {len(STAGES)} stages",
        "count": len(STAGES),
        "items": [{"name": name, "type": "stage"} for name in STAGES],
        "progress": {"current": 0, "total": len(STAGES), "percent": 0},
        "metadata": {"operation_id": operation},
    }


def stage(name: str, *, failed: int = 0) -> bytes:
    """One of them from its start to its end, with an object created and so many that failed."""
    return b"".join(
        (
            event("step", {"step": name, "status": "started", "message": f"Starting {name} synchronization."}),
            event("item_progress", _item(name, 1 + failed)),
            *itertools.repeat(event("error_detail", _detail("The name is taken.")), failed),
            event("phase_summary", _summary(name, failed)),
            event("step", {"step": name, "status": "completed", "result": {"count": 1}, "duration_seconds": 0.1}),
        )
    )


def _item(phase: str, total: int) -> dict[str, Any]:
    return {
        "event": "item_progress",
        "phase": phase,
        "status": "completed",
        "message": f"Synced {phase} pve-1",
        "item": {"name": "pve-1"},
        "operation": "created",
        "progress": {"current": 1, "total": total, "percent": 100 / total},
    }


def _summary(phase: str, failed: int) -> dict[str, Any]:
    return {
        "event": "phase_summary",
        "phase": phase,
        "status": "completed_with_errors" if failed else "completed",
        "message": f"Phase {phase} completed: 1 created, 0 updated, {failed} failed",
        "result": {"created": 1, "updated": 0, "deleted": 0, "failed": failed, "skipped": 0, "total": 1 + failed},
    }


def _detail(detail: str) -> dict[str, str]:
    return {
        "event": "error_detail",
        "category": "internal",
        "message": "Error while syncing.",
        "detail": detail,
        "suggestion": "Look at the log of proxbox-api.",
    }


def completed(*, warnings: Sequence[str] = ()) -> bytes:
    """The only end that is a success."""
    result = {"devices_count": 1, "virtual_machines_count": 1, **({"warnings": list(warnings)} if warnings else {})}
    return event("complete", {"ok": True, "message": "Full update sync completed.", "result": result})


def failed(detail: str = "Error while syncing virtual machines.") -> bytes:
    """An end that is none, of a stream that was answered with 200."""
    return event("error_detail", _detail(detail)) + _ended_badly("Full update sync failed.", detail)


def cancelled() -> bytes:
    return _ended_badly("Full update sync cancelled.", "Server shutdown or request cancelled.")


def _ended_badly(message: str, detail: str) -> bytes:
    error = {"step": "full-update", "status": "failed", "error": message, "detail": detail}
    end = {"ok": False, "message": message, "errors": [{"detail": detail}]}
    return event("error", error) + event("complete", end)


def update(*parts: bytes | float, reset: bool = False) -> Answer:
    """A stream of these parts; without an end among them it breaks off there, politely or with a reset."""
    return Answer(headers=HEADERS, body=parts, reset=reset)


def successful(*, failed: int = 0, bootstrap_ok: bool = True, warnings: Sequence[str] = ()) -> Answer:
    """A whole full update that ends well, in spite of all this."""
    stages = [stage(name, failed=failed if name == "backups" else 0) for name in STAGES]
    return update(opening(bootstrap_ok=bootstrap_ok), KEEPALIVE, *stages, completed(warnings=warnings))


def silent() -> Answer:
    """Begins, and then says nothing at all."""
    return update(opening(), stage("devices"), _FOREVER)


def stalled(*, every: float = 0.05) -> Answer:
    """Begins, and then says only that the connection is alive, which the real one does every 15 s."""
    heartbeat: tuple[bytes | float, ...] = (KEEPALIVE, every)
    return update(opening(), stage("devices"), *(heartbeat * 1000))
