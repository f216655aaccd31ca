"""What no section can see alone."""

from hashlib import sha256

import pytest

from tests.config.conftest import Load, Problems

TOKENS = "access: {tokens: [{name: ops, token: t, role: admin}]}\n"


@pytest.mark.parametrize("source", ["api", "gateway"])
def test_triggers_may_listen_to_what_is_built_in(load: Load, source: str) -> None:
    loaded = load(f"targets: {{t: {{kind: http, url: 'http://x/'}}}}\ntriggers: {{a: {{on: {source}, target: t}}}}")

    assert loaded.config.triggers["a"].listens_to(source)


def test_triggers_may_listen_to_the_runs_of_triggers_and_targets(load: Load) -> None:
    loaded = load("""
targets: {t: {kind: http, url: "http://x/"}}
triggers:
  a: {on: api, target: t}
  b: {on: [{run: a, state: succeeded}, {run: t}], target: t}
""")

    assert [match.run for match in loaded.config.triggers["b"].on] == ["a", "t"]


def test_two_sources_on_one_path_are_refused(problems: Problems) -> None:
    found = problems("""
sources:
  a: {kind: webhook, verify: {scheme: none}, path: /hooks/b}
  b: {kind: webhook, verify: {scheme: none}}
  c: {kind: webhook, verify: {scheme: none}, path: "${PATH_OF_C}"}
""", {"PATH_OF_C": "/hooks/b"})  # fmt: skip

    assert found == [
        "config.yaml:4:3: sources.b: the source 'a' has this path",
        "config.yaml:5:52: sources.c.path: the source 'a' has this path",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example", "localhost.example", "fe80::1"])
def test_without_tokens_no_other_host_than_loopback(problems: Problems, load: Load, host: str) -> None:
    text = f"server: {{host: '{host}'}}\n"

    assert problems(text) == [
        "config.yaml:1:16: server.host: without access.tokens only a loopback address is allowed: 127.0.0.1"
    ]
    assert problems(f"{text}access: {{tokens: []}}\n") == problems(text)
    assert load(text + TOKENS).config.server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tokens(load: Load, host: str) -> None:
    assert load(f"server: {{host: '{host}'}}").config.server.host == host


def test_where_the_api_is_served_apart_it_is_that_host_that_matters(problems: Problems, load: Load) -> None:
    text = "server: {host: 0.0.0.0, admin: {port: 8081, host: %s}}\n"

    assert load(text % "127.0.0.1").config.server.host == "0.0.0.0"
    assert load(text % "0.0.0.0" + TOKENS).config.server.admin is not None
    assert problems(text % "0.0.0.0") == [
        "config.yaml:1:51: server.admin.host: without access.tokens only a loopback address is allowed: 127.0.0.1"
    ]


def test_hooks_and_api_have_two_addresses(problems: Problems, load: Load) -> None:
    assert problems("server: {port: 8081, admin: {port: 8081}}") == [
        "config.yaml:1:36: server.admin.port: server.port is the same: the hooks are served there"
    ]
    assert load("server: {port: 0, admin: {port: 0}}").config.server.port == 0


def test_broken_tokens_are_not_taken_for_none(problems: Problems) -> None:
    found = problems("server: {host: 0.0.0.0}\naccess: {tokens: [{name: a, token: b, role: x}]}")

    assert [problem.split(": ")[1] for problem in found] == ["access.tokens.0.role"]


def test_certificates_must_exist(problems: Problems, load: Load) -> None:
    text = "server: {tls: {cert: a.pem, key: keys/a.key}}"

    assert problems(text, files={"a.pem": ""}) == ["config.yaml:1:34: server.tls.key: there is no such file"]
    assert load(text, files={"a.pem": "", "keys/a.key": ""}).config.server.tls is not None


def test_a_token_may_be_known_by_its_hash_alone(problems: Problems, load: Load) -> None:
    text = "access: {tokens: [{name: a, role: admin, %s}]}"
    digest = sha256(b"hunter2").hexdigest()
    tokens = [load(text % given).config.access.tokens[0] for given in (f"token_sha256: {digest}", "token: hunter2")]

    assert tokens[0].digest == tokens[1].digest
    for given in ("", f"token: hunter2, token_sha256: {digest}"):
        assert problems(text % given)[0].endswith("expected either token or token_sha256")
    for given in (digest.upper(), digest[1:], "hunter2"):
        assert ".token_sha256: " in problems(text % f"token_sha256: '{given}'")[0]


def test_two_tokens_have_two_names(problems: Problems) -> None:
    found = problems("""
access:
  tokens:
    - {name: a, token: x, role: admin}
    - {name: b, token: y, role: admin}
    - {name: a, token: z, role: admin}
""")

    assert found == ["config.yaml:6:14: access.tokens.2.name: another token has this name"]


def test_holds_that_drop_changes_are_warned_of(load: Load) -> None:
    loaded = load("""
targets: {t: {kind: http, url: "http://x/"}}
triggers:
  a: {on: api, target: t, once: {until: started}}
  b: {on: api, target: t, once: {until: finished}}
  c:
    on: api
    target: t
    once:
      until: 5m
  d: {on: api, target: t}
""")

    message = "drops changes by choice: what comes while the key is held is not run again"
    assert [str(warning) for warning in loaded.warnings] == [
        f"config.yaml:5:41: triggers.b.once.until: {message}",
        f"config.yaml:10:14: triggers.c.once.until: {message}",
    ]


TARGET = 'targets: {t: {kind: http, url: "http://x/"}}\n'


def test_what_schedules_refer_to_must_exist(problems: Problems) -> None:
    found = problems(TARGET + """
windows: {night: {cron: "0 22 * * *", for: 4h}}
schedules:
  a: {cron: "0 1 * * *", target: s}
  b: {cron: "0 1 * * *", target: t, not_during: nigth}
  c: {cron: "0 1 * * *", target: t, not_during: night}
""")  # fmt: skip

    assert found == [
        "config.yaml:5:34: schedules.a.target: there is no target 's'",
        "config.yaml:6:49: schedules.b.not_during: there is no window 'nigth'; did you mean 'night'?",
    ]


def test_sources_and_schedules_share_their_names(problems: Problems) -> None:
    found = problems(TARGET + """
sources: {a: {kind: webhook, verify: {scheme: none}}}
schedules:
  a: {cron: "0 1 * * *", target: t}
  api: {cron: "0 1 * * *", target: t}
""")  # fmt: skip

    assert found == [
        "config.yaml:5:3: schedules.a: a source has this name, and the two share their names",
        "config.yaml:6:3: schedules.api: the name 'api' is reserved",
    ]


def test_triggers_may_listen_to_schedules_and_to_their_runs(load: Load) -> None:
    loaded = load(TARGET + """
schedules:
  tick: {interval: 5m}
  sync: {interval: 5m, target: t}
triggers:
  a: {on: tick, target: t}
  b: {on: {run: sync}, target: t}
""")  # fmt: skip

    assert loaded.warnings == []


def test_schedules_of_which_nothing_comes_are_warned_of(load: Load) -> None:
    loaded = load(TARGET + """
schedules:
  a: {at: "2020-01-01T00:00:00Z", target: t}
  b: {interval: 5m, target: t, start: "2020-01-01T00:00:00Z", end: "2021-01-01T00:00:00"}
  c: {interval: 5m}
  d: {at: "2999-01-01T00:00:00", target: t}
""")  # fmt: skip

    assert [str(warning) for warning in loaded.warnings] == [
        "config.yaml:4:11: schedules.a.at: is over already: there will be no tick",
        "config.yaml:5:68: schedules.b.end: is over already: there will be no tick",
        "config.yaml:6:3: schedules.c: has no target, and no trigger listens to it",
    ]


def test_a_cron_expression_that_a_variable_leaves_empty_is_off_in_silence(load: Load) -> None:
    text = TARGET + "schedules: {a: {cron: '${NIGHTLY:-}', target: t}}"
    off, on = load(text), load(text, {"NIGHTLY": "0 1 * * *"})

    assert off.warnings == []
    assert [loaded.config.schedules["a"].is_on for loaded in (off, on)] == [False, True]
