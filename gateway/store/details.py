"""The `object` of an event, which most often stands in its body already: then only its place is stored."""

from typing import Any

from gateway.core.event import Event


def stored_object(event: Event) -> dict[str, Any]:
    """`object`, or `object_at`: the keys that lead to it in the body."""
    if event.object is None:
        return {"object": None}
    if event.object is event.data:
        return {"object_at": []}
    items = event.data.items() if isinstance(event.data, dict) else ()
    for name, value in items:
        if value is event.object:
            return {"object_at": [name]}
    return {"object": event.object}


def object_of(details: dict[str, Any], data: Any) -> Any:
    """The object again, from what was stored and the parsed body."""
    if "object_at" not in details:
        return details["object"]
    for name in details["object_at"]:
        data = data[name]
    return data
