"""A configuration as a whole."""

import copy
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import config
from gateway.config import ConfigurationError
from gateway.core.access import digest_of
from gateway.store.settings import DatabaseSettings
from tests.config.conftest import Load

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def test_an_empty_file_is_a_gateway_with_defaults(load: Load) -> None:
    loaded = load("")

    assert loaded.config == config.Config()
    assert (loaded.config.server.host, loaded.config.server.port) == ("127.0.0.1", 8080)
    assert loaded.config.server.lease == timedelta(seconds=15)
    assert loaded.config.database == DatabaseSettings()
    assert loaded.config.retention.audit == timedelta(days=365)
    assert loaded.warnings == []


def test_sections_may_hold_nothing(load: Load) -> None:
    assert load("server:\nsources:\ntriggers: ~\n").config == config.Config()


def test_the_shipped_example_runs_as_it_stands() -> None:
    loaded = config.load(EXAMPLE, {})

    assert loaded.warnings == []
    assert loaded.presets == {"netbox": "netbox", "github": "github"}
    assert {trigger.mode for trigger in loaded.config.triggers.values()} == {"run", "shadow"}


def test_all_of_a_configuration_arrives(load: Load) -> None:
    loaded = load(
        """
server: {host: 0.0.0.0, port: 0, public_url: "https://g.example", max_body: 2MiB, shutdown_grace: 5s,
         trusted_proxies: [10.0.0.0/8, "::1"], labels: [sync], slots: 7, lease: 3s}
access: {tokens: [{name: ops, token: "${TOKEN}", role: operator}]}
windows: {night: {cron: "0 22 * * sat", for: 4h, timezone: Europe/Amsterdam}}
targets: {t: {kind: http, url: "http://x/", hold: night, nodes: [sync]}}
retention: {events: 1d, runs: 2d, audit: 3d}
""",
        {"TOKEN": "hunter2"},
    )

    server = loaded.config.server
    assert (server.port, server.max_body, server.slots, server.labels) == (0, 2 * 2**20, 7, ("sync",))
    assert (server.shutdown_grace, server.lease) == (timedelta(seconds=5), timedelta(seconds=3))
    assert [str(network) for network in server.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert loaded.config.access.tokens[0].digest == digest_of("hunter2")
    assert loaded.config.windows["night"].lasts == timedelta(hours=4)


def test_s09_secrets_are_not_in_what_is_shown_of_a_configuration(load: Load) -> None:
    loaded = load(
        """
database: {url: "postgresql://u:${SECRET}@h/d"}
access: {tokens: [{name: ops, token: "${SECRET}", role: admin}]}
sources: {a: {preset: netbox, secret: "${SECRET}"}}
""",
        {"SECRET": "hunter2"},
    )

    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in loaded.config.model_dump_json()


class TestHash:
    def test_it_is_that_of_the_settings_wherever_they_come_from(self, load: Load) -> None:
        one = load("server: {port: 1, host: localhost}\nretention: {runs: 5d}")
        same = load(
            "# a comment\ninclude: b.yaml\nretention:\n  runs: 120h\n  audit: 365d\n",
            {"PORT": "1"},
            files={"b.yaml": "server: {host: localhost, port: '${PORT}'}"},
        )

        assert one.hash == same.hash
        assert len(one.hash) == 64

    @pytest.mark.parametrize(
        "environ",
        [{"X": "b"}, {"X": "a", "GATEWAY__SERVER__PORT": "1"}, {"X": "a", "GATEWAY__TARGETS__T__URL": "http://y/"}],
    )
    def test_a_secret_or_an_override_changes_it(self, load: Load, environ: dict[str, str]) -> None:
        text = "sources: {s: {preset: netbox, secret: '${X}'}}\ntargets: {t: {kind: http, url: 'http://x/'}}"

        assert load(text, {"X": "a"}).hash != load(text, environ).hash


def test_two_thousand_triggers_are_read_in_no_time(load: Load) -> None:
    """Those of a large site, which differ in names and values rather than in their templates."""
    trigger = {
        "on": {"source": "api", "type": "netbox.dcim.device.*"},
        "when": "'status' in event.changed or event.type.endswith('.created')",
        "target": "t",
        "once": {"key": "{{ event.object.site.slug }}", "until": "started"},
        "debounce": "30s",
    }
    triggers = {
        f"t{i}": {**copy.deepcopy(trigger), "payload": {"number": i, "site": "{{ event.subject }}"}}
        for i in range(2000)
    }
    text = yaml.safe_dump({"targets": {"t": {"kind": "http", "url": "http://x/"}}, "triggers": triggers})
    started = time.process_time()

    assert len(load(text).config.triggers) == 2000
    assert time.process_time() - started < 5


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["{{", "{{ x }}", "${X}", "${", "$(secret)", "no", "0s", "9" * 30, "api", "t", "netbox"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
GOOD = {
    "server": {"port": 1, "labels": ["a"], "tls": {"cert": "a", "key": "b"}, "max_body": "1MiB", "lease": "15s"},
    "database": {"url": "sqlite:///a.db", "pgbouncer": False},
    "access": {"tokens": [{"name": "a", "token": "b", "role": "admin"}]},
    "sources": {
        "s": {
            "kind": "webhook",
            "verify": {"scheme": "token", "in": "header", "name": "X", "secret": ["a"]},
            "reply": {"status": 200},
        },
        "p": {"preset": "netbox", "secret": "a"},
    },
    "targets": {
        "t": {"kind": "http", "url": "http://x/", "headers": {"a": "b"}, "retry": {"on": [1]}, "per_key": {"key": "a"}}
    },
    "triggers": {
        "a": {"on": [{"source": "s", "type": ["x"]}, "p"], "target": "t", "once": {"until": "5m"}, "payload": {"a": 1}},
        "b": {"on": {"run": "a"}, "target": "t", "for_each": {"a": [1, 2]}},
    },
    "windows": {"w": {"cron": "0 0 * * *", "for": "1h", "timezone": "UTC"}},
    "retention": {"runs": "1d"},
}

Steps = tuple[str | int, ...]


def paths(value: object, path: Steps = ()) -> list[Steps]:
    """Where there is something in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for step, item in items for below in paths(item, (*path, step)))]


def replaced(value: object, path: Steps, by: object) -> object:
    if not path:
        return by
    items = list(value.items() if isinstance(value, dict) else enumerate(value))  # type: ignore[arg-type]
    changed = [(step, replaced(item, path[1:], by) if step == path[0] else item) for step, item in items]
    return dict(changed) if isinstance(value, dict) else [item for _, item in changed]


@given(st.lists(st.tuples(st.sampled_from(paths(GOOD)[1:]), HOSTILE), min_size=1, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_file_says_it_is_a_configuration_or_refused(load: Load, changes: list[tuple[Steps, object]]) -> None:
    """Nothing else comes out, and every problem has its place."""
    text: object = GOOD
    for path, value in changes:
        if path in paths(text):
            text = replaced(text, path, value)
    try:
        load(yaml.safe_dump(text, allow_unicode=True), {"X": "hunter2"})
    except ConfigurationError as error:
        shown = str(error)
        placed = all(problem.line and problem.column for problem in error.problems)
    else:
        shown, placed = "", True

    assert placed
    assert "hunter2" not in shown
