"""S09: secrets that senders send along stand nowhere afterwards."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.edges import OPEN, running

CANARY = "canary-5f1d9c3a"
TOKEN = {"scheme": "token", "name": "token", "secret": CANARY}
SPLIT = {"split": "{{ body['items'] }}", "event": {"id": "{{ item }}", "object": "{{ body }}"}}
SOURCES: dict[str, dict[str, Any]] = {
    "header": {"verify": TOKEN},
    "query": {"verify": TOKEN | {"in": "query"}},
    "body": {"verify": TOKEN | {"in": "body"}, "event": {"id": "{{ body.id }}", "object": "{{ body }}"}},
    "form": {"verify": TOKEN | {"in": "body"}, "body": "form"},
    "split": {"verify": TOKEN | {"in": "body"}, **SPLIT},
    "basic": {"verify": {"scheme": "basic", "username": "u", "password": CANARY}},
}
WITH: dict[str, dict[str, Any]] = {
    "header": {"json": {}, "headers": {"Token": CANARY}},
    "query": {"json": {}, "params": {"token": CANARY}},
    "body": {"json": {"token": CANARY, "id": "a"}},
    "form": {"data": {"token": CANARY, "id": "a"}},
    "split": {"json": {"token": CANARY, "items": ["a"]}},
    "basic": {"json": {}, "headers": {"Authorization": "Basic dTpjYW5hcnktNWYxZDljM2E="}},
}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize("kind", SOURCES)
async def test_s09_a_secret_that_came_along_is_not_stored_shown_or_logged(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, {"sources": {"hook": OPEN | SOURCES[kind]}}) as gateway:
        accepted = await gateway.post("/hooks/hook", **WITH[kind])
        refused = await gateway.post("/hooks/hook", json={"token": f"{CANARY}2"}, params={"token": f"{CANARY}3"})
        listed = await gateway.get("/api/v1/events")
        [shown] = [await gateway.get(f"/api/v1/events/{event['id']}") for event in listed.json["items"]]
        files = everything_in(tmp_path)

    assert (accepted.status, refused.status) == (202, 401)
    logged = "".join(capfd.readouterr()) + caplog.text
    for place in (accepted.body, refused.body, listed.body, shown.body, files, logged.encode()):
        assert CANARY.encode() not in place
        assert b"dTpjYW5hcnkt" not in place
