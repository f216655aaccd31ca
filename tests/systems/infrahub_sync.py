#!/usr/bin/env python3
"""The command `infrahub-sync` (2.0): its options, what it says and writes, its exit codes, and its lock.

What a project does stands in the file `NAME.json` of its directory: how many `changes` there are to make, how many
`seconds` that takes, and what goes wrong: `error`, `traceback` or `rows_dropped`.
"""

import argparse
import fcntl
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_GUARDRAIL = (
    "Rowcount guardrail tripped for 'InfraDevice': dropped from 10 to 2 (ratio 0.20 < threshold 0.50). "
    "Pass --allow-rowcount-drop to override."
)


def main() -> None:
    options = _options()
    if bool(options.name) == bool(options.config_file):
        _abort("Please specify exactly one of 'name' or 'config-file'.")
    project = _project(options)
    if project is None:
        _abort("Failed to load sync instance.")
    cache = Path(os.environ.get("INFRAHUB_SYNC_CACHE_DIR", ".infrahub-sync-cache")).absolute() / project["name"]
    with _locked(cache, project.get("patience", 60)):
        _sync(project, cache, drop_allowed=options.allow_rowcount_drop)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("infrahub-sync")
    parser.add_argument("--verbosity", choices=("quiet", "default", "verbose"), default="default")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("--quiet", "-q", action="store_true")
    sync = parser.add_subparsers(required=True, dest="command").add_parser("sync")
    for name in ("--name", "--config-file", "--directory", "--branch"):
        sync.add_argument(name)
    sync.add_argument("--adapter-path", action="append")
    for name in ("--diff", "--show-progress", "--parallel", "--concurrent-load", "--full-extract"):
        sync.add_argument(name, action=argparse.BooleanOptionalAction, default=True)
    for name in ("--allow-rowcount-drop", "--continue-on-error"):
        sync.add_argument(name, action="store_true")
    return parser.parse_args()


def _project(options: argparse.Namespace) -> dict[str, Any] | None:
    file = Path(options.config_file or Path(options.directory or ".", f"{options.name}.json"))
    return {"name": file.stem, **json.loads(file.read_text())} if file.is_file() else None


@contextmanager
def _locked(cache: Path, patience: float) -> Iterator[None]:
    """One at a time in a cache; who waits too long dies of it."""
    cache.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with (cache / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The file lock '{cache}/.lock' could not be acquired.") from None
                time.sleep(0.05)
        yield


def _sync(project: dict[str, Any], cache: Path, *, drop_allowed: bool) -> None:
    run = cache / f"{_now('%Y%m%dT%H%M')}-{secrets.token_hex(4)}"
    run.mkdir()
    _note(run, "running")
    try:
        _change(project, drop_allowed=drop_allowed)
    except ValueError as error:
        _note(run, "failed")
        _abort(str(error))
    except Exception:
        _note(run, "failed")
        raise
    _note(run, "applied", summary={"resources": 3, "mode": "parallel"}, finished_at=_now("%Y-%m-%dT%H:%M:%S+00:00"))
    _log("INFO", f"Sync run {run.name} at {run}")


def _note(run: Path, status: str, *, summary: dict[str, Any] | None = None, finished_at: str | None = None) -> None:
    said = {"finished_at": finished_at, "mode": "sync", "status": status, "summary": summary or {}}
    (run / "run.json").write_text(json.dumps(said, indent=2))


def _change(project: dict[str, Any], *, drop_allowed: bool) -> None:
    time.sleep(project.get("seconds", 0))
    if project.get("rows_dropped") and not drop_allowed:
        _log("ERROR", _GUARDRAIL, "infrahub_sync.cache.guardrails")
        raise RuntimeError(_GUARDRAIL)
    if "traceback" in project:
        raise RuntimeError(project["traceback"])
    if "error" in project:
        raise ValueError(project["error"])
    for number in range(project.get("changes", 0)):
        print(f"{_now('%Y-%m-%d %H:%M:%S')} [info     ] Created successfully  action=create unique_id={number}")
    changed = "Sync: Completed in 0.01 sec" if project.get("changes") else "No difference found. Nothing to sync"
    _log("INFO", changed)


def _now(form: str) -> str:
    return time.strftime(form, time.gmtime())


def _log(level: str, message: str, logger: str = "infrahub_sync.cli") -> None:
    print(f"{level} | {logger} | {message}", file=sys.stderr)


def _abort(message: str) -> NoReturn:
    _log("ERROR", message)
    print("Aborted.", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
