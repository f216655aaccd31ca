"""NetBox's `manage.py` with the command `proxbox_sync` of its plugin.

What NetBox is like stands in the file `netbox.json` beside it: `endpoint`, `reachable`, `users`, `enabled` (endpoints
of Proxmox), `worker` and how long one is waited for, `ends` (the status that a job takes), and its `jobs`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

_NAME = "Proxbox Sync"
_CLI_NAME = "Proxbox Sync: Full update (CLI)"
_WAITING = ("pending", "scheduled", "running")
_FILE = Path(__file__).with_name("netbox.json")


class CommandError(Exception):
    """Told on stderr; the exit code is 1."""


def main() -> None:
    netbox = json.loads(_FILE.read_text())
    options = _options()
    user = _user(netbox, options.user)
    if not netbox.get("endpoint", True):
        raise CommandError(
            "No FastAPIEndpoint configured. Create one under Plugins > ProxBox > Endpoints > FastAPI before running "
            "proxbox_sync."
        )
    if not netbox.get("reachable", True):
        raise CommandError("proxbox-api backend not reachable at http://proxbox:8800: connection refused")
    enabled = netbox.get("enabled", 1)
    if not enabled:
        print("No enabled ProxmoxEndpoint records configured; nothing to sync.")
        return
    job = _enqueued(netbox, once=options.enqueue_once)
    note = " (enqueue_once: reused pending or freshly created)" if options.enqueue_once else ""
    print(
        f"Enqueued ProxboxSyncJob (pk={job['pk']}) on queue 'default' for {enabled} Proxmox endpoint(s), attributed to "
        f"user '{user}'{note}."
    )
    if options.wait:
        _wait(netbox, job, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("manage.py proxbox_sync")
    parser.add_argument("command", choices=["proxbox_sync"])
    parser.add_argument("--user")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--timeout", type=int, default=7200)
    parser.add_argument("--poll-interval", type=float, default=2.0)
    parser.add_argument("--worker-grace", type=float, default=30.0)
    parser.add_argument("--enqueue-once", action="store_true")
    return parser.parse_args()


def _user(netbox: dict[str, Any], name: str | None) -> str:
    users = netbox.get("users", ["admin"])
    if name is not None and name not in users:
        raise CommandError(f"User '{name}' does not exist.")
    if not users:
        raise CommandError(
            "No active superuser found. Create one with `python manage.py createsuperuser` or pass --user USERNAME."
        )
    return name or str(users[0])


def _enqueued(netbox: dict[str, Any], *, once: bool) -> dict[str, Any]:
    """With `once` it looks for a name that its own jobs do not have, and deletes what it finds if that is recurring."""
    jobs: list[dict[str, Any]] = netbox.setdefault("jobs", [])
    if once:
        found = next((job for job in jobs if job["name"] == _NAME and job["status"] in _WAITING), None)
        if found and found["interval"] is None:
            return found
        jobs[:] = [job for job in jobs if job is not found]
    job = {"pk": 1 + max((job["pk"] for job in jobs), default=0), "name": _CLI_NAME, "interval": None}
    jobs.append(job | {"status": "pending"})
    _FILE.write_text(json.dumps(netbox))
    return job


def _wait(netbox: dict[str, Any], job: dict[str, Any], options: argparse.Namespace) -> None:
    began = time.monotonic()
    end, grace = netbox.get("ends", "completed"), netbox.get("worker_grace", options.worker_grace)
    while end is None or not netbox.get("worker", True):
        if time.monotonic() - began >= options.timeout:
            raise CommandError(
                f"Timed out after {options.timeout}s waiting for Proxbox sync job (pk={job['pk']}) to finish."
            )
        if not netbox.get("worker", True) and time.monotonic() - began >= grace:
            raise CommandError(
                "No RQ worker is consuming the 'default' queue. Start a worker with `python manage.py rqworker "
                "default` or via the netbox-rq service, then re-run."
            )
        time.sleep(options.poll_interval)
    if end != "completed":
        raise CommandError(f"Proxbox sync job (pk={job['pk']}) ended with status '{end}'.")
    print(f"Proxbox sync job (pk={job['pk']}) completed.")


if __name__ == "__main__":
    try:
        main()
    except CommandError as error:
        print(f"CommandError: {error}", file=sys.stderr)
        sys.exit(1)
