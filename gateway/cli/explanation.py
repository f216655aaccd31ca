"""Explanations, as people see them."""

from collections.abc import Mapping
from typing import Any

import click
import orjson

from gateway.cli.display import print_fields

_OF_REQUEST = ("target", "key", "until", "lane", "payload", "due_at")


def print_explanation(document: Mapping[str, Any]) -> None:
    """What the API says of an event and of what would come of it."""
    print_fields({name: value for name, value in document["event"].items() if name != "object"})
    if not document["triggers"]:
        click.echo("\nNo trigger listens to it.")
    for explained in document["triggers"]:
        click.echo()
        print_fields(_fields(explained))


def _fields(explained: Mapping[str, Any]) -> dict[str, Any]:
    request = explained["request"] or {}
    return {
        **{name: explained[name] for name in ("trigger", "item", "decision", "reason")},
        **{f"  {operand['expression']}": _value(operand) for operand in explained["operands"]},
        **{name: request.get(name) for name in _OF_REQUEST},
        "held_by": _holder(request.get("held_by")),
        **{f"call.{name}": value for name, value in (request.get("call") or {}).items()},
        "call": request.get("call_error"),
    }


def _value(operand: Mapping[str, Any]) -> str:
    """As JSON, so that a text is told from a number."""
    return operand["error"] or orjson.dumps(operand["value"]).decode()


def _holder(held_by: Mapping[str, Any] | None) -> str | None:
    return None if held_by is None else f"run {held_by['run_id']}, {held_by['state']}"
