"""Importing schedules: a gateway is brought to what a file says, and told nothing that it knows."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gateway.cli.client import Client
from gateway.cli.failure import Exit, Failure
from gateway.core.schedule import Schedule, literal

PAGE = 1000

Result = dict[str, Any]
"""What became of a schedule: created, updated, unchanged, skipped or refused, and why."""


def import_all(client: Client, wanted: Mapping[str, Any], unreadable: Mapping[str, str]) -> list[Result]:
    """One after the other; one that is refused does not keep the others out. Raises `Failure` where nothing can be."""
    stored = _stored(client)
    return [
        _result(name, "refused", unreadable[name])
        if name in unreadable
        else _import(client, name, fields, stored.get(name))
        for name, fields in wanted.items()
    ]


def _stored(client: Client) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    cursor = None
    while True:
        page = client.get("schedules", limit=PAGE, cursor=cursor)
        found |= {schedule["name"]: schedule for schedule in page["items"]}
        cursor = page["next"]
        if cursor is None:
            return found


def _import(client: Client, name: str, fields: Any, stored: Mapping[str, Any] | None) -> Result:
    if not isinstance(fields, dict):
        return _result(name, "refused", "should be a mapping, of keys to values")
    if "name" in fields:
        return _result(name, "refused", "name: unknown key")
    if stored is not None and stored["origin"] == "file":
        return _result(name, "skipped", "the gateway's own file defines it")
    if stored is not None and _says(stored, fields):
        return _result(name, "unchanged")
    try:
        if stored is None:
            client.post("schedules", body={**fields, "name": name})
        else:
            client.put("schedules", name, body=fields)
    except Failure as failure:
        if failure.exit_code != Exit.USAGE:
            raise
        return _result(name, "refused", failure.message)
    return _result(name, "created" if stored is None else "updated")


def _says(stored: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether a stored schedule is what these fields would make of it, however they are written."""
    try:
        wanted = Schedule.model_validate(literal(fields)).model_dump(mode="json", exclude_unset=True)
    except ValidationError:
        return False
    return {"enabled": True, **wanted} == {field: stored[field] for field in Schedule.model_fields if field in stored}


def _result(name: str, result: str, reason: str | None = None) -> Result:
    return {"schedule": name, "result": result, "reason": reason}
