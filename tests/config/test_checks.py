"""What no section can see alone."""

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


def test_broken_tokens_are_not_taken_for_none(problems: Problems) -> None:
    found = problems("server: {host: 0.0.0.0}\naccess: {tokens: [{name: a, token: b, role: x}]}")

    assert [problem.split(": ")[1] for problem in found] == ["access.tokens.0.role"]


def test_certificates_must_exist(problems: Problems, load: Load) -> None:
    text = "server: {tls: {cert: a.pem, key: keys/a.key}}"

    assert problems(text, files={"a.pem": ""}) == ["config.yaml:1:34: server.tls.key: there is no such file"]
    assert load(text, files={"a.pem": "", "keys/a.key": ""}).config.server.tls is not None


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
