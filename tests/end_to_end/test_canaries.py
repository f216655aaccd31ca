"""S09: the secrets of a configuration are used, and stand nowhere: in no log, answer or file of the gateway."""

from pathlib import Path

from tests.gateway_client import GatewayClient
from tests.gateways import nodes_of, running
from tests.servers.ports import free_port
from tests.target_answer import Answer
from tests.target_server import Call, TargetServer
from tests.waiting import until

CANARY = "canary-7e41b0d9"
SECRETS = {name: f"{CANARY}-{name.lower()}" for name in ("API", "HOOK", "HEADER", "QUERY", "FORM", "BROKER", "COMMAND")}
PAGES = ("status", "events", "runs", "targets", "schedules")


def configuration(target: TargetServer) -> dict[str, object]:
    sync = {
        "kind": "http",
        "url": f"{target.url}/sync?key=${{QUERY}}",
        "headers": {"Authorization": "Bearer ${HEADER}"},
        "form": {"password": "${FORM}"},
        "retry": {"attempts": 1},
    }
    program = {
        "kind": "command",
        "argv": ["sh", "-c", "env; exit $(printf %s $TOKEN | wc -c)"],
        "env": {"TOKEN": "${COMMAND}"},
    }
    return {
        "access": {"tokens": [{"name": "ops", "token": "${API}", "role": "admin"}]},
        "database": {"url": "sqlite:///gateway.db"},
        "sources": {
            "hook": {"kind": "webhook", "verify": {"scheme": "token", "name": "X-Token", "secret": "${HOOK}"}},
            "queue": {"kind": "amqp", "url": f"amqp://guest:${{BROKER}}@127.0.0.1:{free_port()}/", "queue": "q"},
        },
        "targets": {"sync": sync, "program": program | {"retry": {"attempts": 1}}},
        "triggers": {name: {"on": "hook", "target": name} for name in ("sync", "program")},
    }


def received(call: Call) -> str:
    return f"{call.path} {dict(call.headers)} {call.body.decode()}"


def stored_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_s09_secrets_of_the_configuration_are_used_and_stand_nowhere(tmp_path: Path) -> None:
    """Not even where a target repeats all that it was sent, and a command prints its environment."""
    async with TargetServer(lambda call: Answer(status=400, body=received(call).encode())) as target:
        [node] = nodes_of(configuration(target), tmp_path, env=SECRETS)
        as_ops = {"headers": {"Authorization": f"Bearer {SECRETS['API']}"}}
        async with running(node), GatewayClient(node.url) as client:
            sent = await client.send({"a": 1}, **{"X-Token": SECRETS["HOOK"]})
            refused = await client.send({"a": 1}, **{"X-Token": SECRETS["HOOK"] + "x"})
            stranger = await client.request("GET", "/api/v1/status", headers={"Authorization": f"Bearer {CANARY}"})
            shown = [refused.body, stranger.body]

            async def reasons() -> set[str]:
                runs = await client.request("GET", "/api/v1/runs", **as_ops)
                return {str(run["reason"]).partition(";")[0] for run in runs.json["items"]}

            ends = {"answered 400 Bad Request", f"exited with {len(SECRETS['COMMAND'])}"}
            await until(reasons, ends, "ends of the runs")
            event_id = sent.json["event_id"]
            paths = [*PAGES, f"events/{event_id}"]
            paths += [page for run_id in sent.run_ids for page in (f"runs/{run_id}", f"runs/{run_id}/log")]
            shown += [(await client.request("GET", f"/api/v1/{path}", **as_ops)).body for path in paths]
            explained = await client.request("POST", "/api/v1/explain", json={"event_id": event_id}, **as_ops)
            shown += [explained.body, (await client.request("GET", "/readyz")).body]
            files = stored_in(tmp_path)

        [call] = target.calls
        assert (sent.status, refused.status, stranger.status) == (202, 401, 401)
        assert all(SECRETS[name] in received(call) for name in ("HEADER", "QUERY", "FORM"))
        assert [body for body in shown if CANARY.encode() in body] == []
        assert [name for name, content in files.items() if CANARY.encode() in content] == []
