"""Single values from the environment."""

import pytest

from tests.config.conftest import Load, Problems

FILE = """
server: {labels: [a, b]}
sources:
  my-hook: {kind: webhook, verify: {scheme: none}, path: /hooks/x}
  signed: {preset: netbox, secret: from-the-file}
targets:
  demo:
    kind: http
    url: http://localhost/
    retry: {attempts: 3}
triggers:
  t: {on: my-hook, target: demo, payload: {limit: 5, text: "5", flag: true}, once: {key: "{{ event.id }}"}}
"""


def test_a_value_of_the_file_is_replaced(load: Load) -> None:
    config = load(FILE, {"GATEWAY__TARGETS__DEMO__RETRY__ATTEMPTS": "7"}).config

    assert config.targets["demo"].retry.attempts == 7


def test_a_value_is_added_that_the_file_leaves_out(load: Load) -> None:
    config = load(FILE, {"GATEWAY__SERVER__PORT": "9000", "GATEWAY__RETENTION__EVENTS": "2d"}).config

    assert config.server.port == 9000
    assert config.retention.events.days == 2
    assert config.server.labels == ("a", "b")


def test_null_is_as_good_as_nothing(load: Load) -> None:
    text = FILE.replace("retry: {attempts: 3}", "retry:")

    assert load(text, {"GATEWAY__TARGETS__DEMO__RETRY__ATTEMPTS": "7"}).config.targets["demo"].retry.attempts == 7


def test_dashes_of_names_are_written_as_underscores(load: Load) -> None:
    loaded = load(FILE, {"GATEWAY__SOURCES__MY_HOOK__PATH": "/hooks/y", "GATEWAY__SERVER__MAX_BODY": "2MiB"})

    assert loaded.config.sources["my-hook"].path == "/hooks/y"  # type: ignore[attr-defined]
    assert loaded.config.server.max_body == 2 * 2**20


def test_items_of_lists_go_by_their_number(load: Load) -> None:
    assert load(FILE, {"GATEWAY__SERVER__LABELS__1": "c"}).config.server.labels == ("a", "c")


def test_a_parameter_of_a_preset_is_a_value_like_any_other(load: Load) -> None:
    config = load(FILE, {"GATEWAY__SOURCES__SIGNED__SECRET": "from-outside"}).config

    secret = config.sources["signed"].verify.secret[0]  # type: ignore[attr-defined]
    assert secret.get_secret_value() == "from-outside"


def test_where_any_value_will_do_a_number_stays_a_number_and_a_text_a_text(load: Load) -> None:
    config = load(
        FILE,
        {
            "GATEWAY__TRIGGERS__T__PAYLOAD__LIMIT": "10",
            "GATEWAY__TRIGGERS__T__PAYLOAD__TEXT": "10",
            "GATEWAY__TRIGGERS__T__PAYLOAD__FLAG": "false",
        },
    ).config

    assert config.triggers["t"].payload.source == {"limit": 10, "text": "10", "flag": False}


def test_references_are_not_looked_for_in_an_override(load: Load) -> None:
    config = load(FILE, {"GATEWAY__TARGETS__DEMO__URL": "http://localhost/${HOME}"}).config

    assert config.targets["demo"].url.source == "http://localhost/${HOME}"  # type: ignore[attr-defined]


def test_other_variables_are_nobodys_business(load: Load) -> None:
    assert (
        load(FILE, {"GATEWAY_URL": "x", "GATEWAY_CONFIG": "y", "gateway__server__port": "1"}).config.server.port == 8080
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("SERVR__PORT", "servr: unknown key; did you mean 'server'?"),
        ("SERVER__PROT", "server.prot: unknown key; did you mean 'port'?"),
        ("TARGETS__DEMMO__URL", "targets has no 'demmo'; did you mean 'demo'?"),
        ("TARGETS__DEMO__RETRY__ATEMPTS", "targets.demo.retry.atempts: unknown key; did you mean 'attempts'?"),
        ("WINDOWS__NIGHT__CRON", "windows has no 'night'"),
        ("TARGETS__DEMO", "only single values can be overridden, and this is none"),
        ("SERVER", "server: should be a mapping, of keys to values"),
        ("TARGETS__DEMO__URL__X", "targets.demo.url is a single value: it has no 'x'"),
        ("SERVER__LABELS", "only single values can be overridden, and this is none"),
        ("SERVER__LABELS__2", "server.labels has no item '2'; its first one is 0"),
        ("SERVER__LABELS__-1", "server.labels has no item '-1'; its first one is 0"),
        ("SERVER__LABELS__X", "server.labels has no item 'x'; its first one is 0"),
        ("SERVER__PORT", "server.port: should be a whole number"),
        ("INCLUDE", "include: unknown key"),
        ("", "expected names with two underscores between them, as in GATEWAY__SERVER__PORT"),
        ("SERVER__", "expected names with two underscores between them"),
        ("____", "expected names with two underscores between them"),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(problems: Problems, name: str, problem: str) -> None:
    text = FILE.replace("server: {labels: [a, b]}", "") if name == "SERVER" else FILE

    assert problem in problems(text, {f"GATEWAY__{name}": "hunter2"})[0]
    assert problems(text, {f"GATEWAY__{name}": "hunter2"})[0].startswith(f"GATEWAY__{name}: ")


def test_the_value_of_an_override_is_never_shown(problems: Problems) -> None:
    assert problems(FILE, {"GATEWAY__TARGETS__DEMO__TIMEOUT": "hunter2"}) == [
        (
            "GATEWAY__TARGETS__DEMO__TIMEOUT: targets.demo.timeout: expected a duration such as 45s, 2h30m or 7d, "
            "got '$GATEWAY__TARGETS__DEMO__TIMEOUT'"
        ),
    ]
