"""An event's object is stored once, where it stands in the body, and comes back the same."""

from typing import Any

import orjson
import pytest

from gateway.store.details import object_of, stored_object
from tests.core.samples import event

BODY: dict[str, Any] = {"data": {"id": 1}, "none": None, "list": [1, {"a": 2}], "object_at": ["data"]}


@pytest.mark.parametrize(
    ("thing", "place"),
    [
        (BODY, []),
        (BODY["data"], ["data"]),
        (BODY["list"], ["list"]),
        (BODY["object_at"], ["object_at"]),
        ({"id": 1}, None),
        (BODY["list"][1], None),
        (None, None),
        ("text", None),
        ([], None),
    ],
)
def test_an_object_comes_back_from_where_it_stood(thing: Any, place: list[str] | None) -> None:
    stored = stored_object(event(data=BODY, object=thing))

    assert stored.get("object_at") == place
    assert object_of(orjson.loads(orjson.dumps(stored)), orjson.loads(orjson.dumps(BODY))) == thing


@pytest.mark.parametrize("data", [[1, 2], "text", None, 7])
def test_a_body_that_is_no_mapping_holds_no_places(data: Any) -> None:
    stored = stored_object(event(data=data, object={"a": 1}))

    assert object_of(stored, data) == {"a": 1}
