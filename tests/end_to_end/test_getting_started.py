"""The page for the first ten minutes: from an empty folder to a change in NetBox that calls something."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.desk import Desk, wait_for
from tests.docs.pages import DOCS, blocks, commands
from tests.servers.ports import free_port
from tests.sources.senders import captured

PAGE = DOCS / "getting-started.md"
DEMO_PORT = free_port()
SECRET = "s3cr3t"  # with it was signed what was captured


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    [configuration, _] = blocks(PAGE, "yaml")
    (tmp_path / "config.yaml").write_text(configuration)
    variables = {"GATEWAY_TOKEN": "a-token-of-mine", "NETBOX_WEBHOOK_SECRET": SECRET}
    return Desk(tmp_path, {**variables, "SYNC_URL": f"http://127.0.0.1:{DEMO_PORT}/sync"})


def test_what_the_page_says_leads_from_netbox_to_a_call(desk: Desk) -> None:
    check, *others = commands(PAGE)
    assert "is valid" in desk.gateway(*check.split()[1:])
    with desk.serving("config.yaml"), desk.terminal("demo-target", "--port", str(DEMO_PORT)) as calls:
        wait_for(lambda: "Waiting for calls" in calls.read_text(), "the demo target listens")
        said = [desk.gateway(*command.split()[1:]) for command in others]
        _change_in_netbox(desk)
        wait_for(lambda: calls.read_text().count("200") == 2, "the demo target is called for both")
        runs = json.loads(desk.gateway("runs", "list", "--json"))["items"]

    assert "site-changed" in said[0]
    assert [run["state"] for run in runs] == ["succeeded", "succeeded"]
    assert runs[0]["payload"] != runs[1]["payload"]


def _change_in_netbox(desk: Desk) -> None:
    body, headers = captured("netbox-site-updated")
    request = urllib.request.Request(f"{desk.url}/hooks/netbox", data=body, headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202
