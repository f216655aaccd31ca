"""The sender of the benchmarks: distinct signed webhooks of 1 KiB, as NetBox makes them, and the source they go to."""

import hmac
import json
import secrets
from typing import Any
from uuid import uuid4

PATH = "/hooks/netbox"
SECRET = "s3cr3t"


def requests(count: int, port: int) -> list[bytes]:
    """Whole HTTP requests, no two of which are about the same device."""
    return [_request(body(), port) for _ in range(count)]


def configuration(database: str, target: dict[str, Any]) -> dict[str, Any]:
    """A gateway that takes these requests: one trigger with a `when` and a key, for a target called `sync`."""
    return {
        "database": {"url": database},
        "sources": {"netbox": {"kind": "webhook", "preset": "netbox", "secret": SECRET}},
        "targets": {"sync": {"kind": "http", **target}},
        "triggers": {
            "device-changed": {
                "on": {"source": "netbox", "type": "netbox.dcim.device.*"},
                "when": "'status' in event.changed",
                "target": "sync",
                "once": {"key": "{{ event.object.name }}"},
                "payload": {"device": "{{ event.object.name }}"},
            }
        },
    }


def _request(body: bytes, port: int) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\n"
        f"User-Agent: python-urllib3/2.8.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Hook-Signature: {hmac.digest(SECRET.encode(), body, 'sha512').hex()}\r\n\r\n"
    )
    return head.encode() + body


def body() -> bytes:
    name = f"device-{secrets.token_hex(6)}"
    device = {"name": name, "status": "planned", "site": 12, "serial": "", "comments": "", "tags": []}
    moved = {**device, "status": "active"}
    event = {
        "event": "updated",
        "timestamp": "2026-11-21T09:40:47.672184+00:00",
        "object_type": "dcim.device",
        "username": "admin",
        "request_id": str(uuid4()),
        "data": _data(name),
        "snapshots": {"prechange": device, "postchange": moved},
    }
    return json.dumps(event).encode()


def _data(name: str) -> dict[str, Any]:
    return {
        "id": 4711,
        "url": "/api/dcim/devices/4711/",
        "display": name,
        "name": name,
        "device_type": {"id": 3, "url": "/api/dcim/device-types/3/", "display": "DCS-7050", "slug": "dcs-7050"},
        "role": {"id": 2, "url": "/api/dcim/device-roles/2/", "display": "Leaf", "slug": "leaf"},
        "site": {"id": 12, "url": "/api/dcim/sites/12/", "display": "Amsterdam", "slug": "amsterdam"},
        "status": {"value": "active", "label": "Active"},
        "face": {"value": "front", "label": "Front"},
        "serial": "JPE1",
        "custom_fields": {},
        "last_updated": "2026-11-21T09:40:47.649921Z",
    }
