"""Wrong configurations, and what is said about them: the place, the path, what was expected, what may be meant."""

import pytest

from gateway.core.access import digest_of
from tests.config.conftest import Load, Problems

HOOK = "{kind: webhook, verify: {scheme: none}}"
TARGET = "{kind: http, url: 'http://localhost/'}"
GOOD = f"sources: {{hook: {HOOK}}}\ntargets: {{demo: {TARGET}}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Keys
        ("servr: {}", ["1:1: servr: unknown key; did you mean 'server'?"]),
        ("server:\n  prot: 1", ["2:3: server.prot: unknown key; did you mean 'port'?"]),
        ("server:\n  xyzzy: 1", ["2:3: server.xyzzy: unknown key"]),
        ("server: {tls: {crt: a, key: b}}", [
            "1:10: server.tls.cert: is missing: PEM file of the certificate, with those that lead to its authority.",
            "1:16: server.tls.crt: unknown key; did you mean 'cert'?",
        ]),
        ("<<: {a: 1}", ["1:1: <<: unknown key"]),
        ("schedules: {}\nalarms: {}", ["2:1: alarms: unknown key"]),
        ("server: {amin: {}}", ["1:10: server.amin: unknown key; did you mean 'admin'?"]),
        ("server:\n  port: 1\n  port: 2", ["3:3: server.port: duplicate key, first in line 2"]),
        # Types
        ("server: 5", ["1:9: server: should be a mapping, of keys to values"]),
        ("server: []", ["1:1: server: should be a mapping, of keys to values"]),
        ("sources: [a]", ["1:1: sources: should be a mapping, of keys to values"]),
        ("sources: {a: b}", ["1:14: sources.a: should be a mapping, of keys to values"]),
        ("sources: {a: null}", ["1:14: sources.a: should be a mapping, of keys to values"]),
        ("server: {labels: a}", ["1:18: server.labels: should be a list"]),
        ("server: {port: abc}", ["1:16: server.port: should be a whole number"]),
        ("server: {port: 1.5}", ["1:16: server.port: should be a whole number"]),
        ("server: {port: null}", ["1:16: server.port: should be a whole number"]),
        ("server: {port: true}", ["1:16: server.port: should be a number"]),
        ("server: {port: 70000}", ["1:16: server.port: should be at most 65535"]),
        ("server: {host: 5}", ["1:16: server.host: should be a text; what looks like none is put in quotes"]),
        ("server: {lease: 1s}", ["1:17: server.lease: should be at least 3 seconds"]),
        ("server: {max_body: 1 parsec}", [
            "1:20: server.max_body: expected a size such as 512KiB or 1MiB, got '1 parsec'",
        ]),
        ("retention: {runs: 0s}", ["1:19: retention.runs: should be more than nothing"]),
        ("retention: {runs: 30}", [
            "1:19: retention.runs: expected a duration such as 45s, 2h30m or 7d, got 30",
        ]),
        ("server: {trusted_proxies: [here]}", [
            "1:28: server.trusted_proxies.0: value is not a valid IPv4 or IPv6 network",
        ]),
        ("server: {public_url: gateway}", ["1:22: server.public_url: should match pattern '^https?://'"]),
        (f"access: {{tokens: [{{name: {101 * 'a'}, token: t0ken, role: viewer}}]}}", [
            "1:26: access.tokens.0.name: should have at most 100 characters",
        ]),
        # YAML 1.2
        ("database: {pgbouncer: no}", ["1:23: database.pgbouncer: should be true or false"]),
        ("database: {pgbouncer: On}", ["1:23: database.pgbouncer: should be true or false"]),
        ("database: {pgbouncer: 1}", ["1:23: database.pgbouncer: should be true or false"]),
        ("database: {pgbouncer: maybe}", ["1:23: database.pgbouncer: should be true or false"]),
        # Names
        ("targets: {Demo: {kind: http, url: 'http://x/'}}", ["1:11: targets.Demo: a name is made of a-z, 0-9 and -"]),
        (f"sources: {{api: {HOOK}}}", ["1:11: sources.api: the name 'api' is reserved"]),
        (f"sources: {{gateway: {HOOK}}}", ["1:11: sources.gateway: the name 'gateway' is reserved"]),
        (f"sources: {{upcoming: {HOOK}}}", ["1:11: sources.upcoming: the name 'upcoming' is reserved"]),
        # Kinds
        ("sources: {a: {}}", ["1:11: sources.a: is missing its 'kind'"]),
        ("sources: {a: {kind: webhok}}", [
            "1:21: sources.a.kind: should be one of 'webhook', 'amqp'; did you mean 'webhook'?",
        ]),
        ("sources:\n  a:\n    kind: webhook", [
            "2:3: sources.a.verify: is missing: How senders prove themselves; `{scheme: none}` if they cannot.",
        ]),
        ("sources: {a: {kind: webhook, verify: {scheme: hmca}}}", [
            (
                "1:47: sources.a.verify.scheme: "
                "should be one of 'hmac', 'standard-webhooks', 'token', 'basic', 'none'; did you mean 'hmac'?"
            ),
        ]),
        ("sources: {a: {kind: webhook, verify: {scheme: none}, reply: {status: 5}}}", [
            "1:70: sources.a.reply.status: should be at least 200",
        ]),
        ("sources: {a: {kind: webhook, verify: {scheme: none}, reply: minimum}}", [
            (
                "1:61: sources.a.reply: "
                "should be a mapping, of keys to values or should be 'minimal'; did you mean 'minimal'?"
            ),
        ]),
        # Access and database
        ("access: {tokens: [{name: a, token: b, role: operater}]}", [
            "1:45: access.tokens.0.role: should be 'viewer', 'operator' or 'admin'; did you mean 'operator'?",
        ]),
        ("access: {tokens: [{name: a, token: '', role: admin}]}", [
            "1:36: access.tokens.0.token: an empty token lets everybody in; is a variable empty?",
        ]),
        ("database: {url: 'mysql://u:p@h/d'}", [
            "1:17: database.url: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
        ]),
        # Windows
        ("windows: {w: {cron: '0 22 * *', for: 4h}}", [
            "1:21: windows.w.cron: expected five fields: minute, hour, day, month, weekday; or six, second first",
        ]),
        ("windows: {w: {cron: '0 0 31 2 *', for: 0s, timezone: Mars/Olympus}}", [
            "1:21: windows.w.cron: there is no such day",
            "1:40: windows.w.for: should be more than nothing",
            "1:54: windows.w.timezone: expected a time zone such as UTC or Europe/Amsterdam",
        ]),
    ],
)  # fmt: skip
def test_a_wrong_section_gets_its_places(problems: Problems, text: str, expected: list[str]) -> None:
    assert problems(text) == [f"config.yaml:{problem}" for problem in expected]


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ("{on: hook}", ["3:12: triggers.t.target: is missing: Name of the target that is requested."]),
        ("{on: [], target: demo}", ["3:16: triggers.t.on: expected at least one source"]),
        ("{on: hook, target: dmo}", ["3:34: triggers.t.target: there is no target 'dmo'; did you mean 'demo'?"]),
        ("{on: hok, target: demo}", [
            "3:20: triggers.t.on: there is no source or schedule 'hok'; did you mean 'hook'?",
        ]),
        ("{on: [hook, hok], target: demo}", [
            "3:27: triggers.t.on.1: there is no source or schedule 'hok'; did you mean 'hook'?",
        ]),
        ("{on: {source: hok}, target: demo}", [
            "3:29: triggers.t.on.source: there is no source or schedule 'hok'; did you mean 'hook'?",
        ]),
        ("{on: [{source: hok}], target: demo}", [
            "3:30: triggers.t.on.0.source: there is no source or schedule 'hok'; did you mean 'hook'?",
        ]),
        ("{on: {run: dem}, target: demo}", [
            "3:26: triggers.t.on.run: there is no trigger, schedule or target 'dem'; did you mean 'demo'?",
        ]),
        ("{on: {sorce: hook}, target: demo}", [
            "3:21: triggers.t.on.sorce: unknown key; did you mean 'source'?",
        ]),
        ("{on: {source: hook, type: [1]}, target: demo}", [
            "3:42: triggers.t.on.type.0: should be a text; what looks like none is put in quotes",
        ]),
        ("{on: hook, target: demo, debounce: 5s}", [
            "3:12: triggers.t: debounce needs once: it merges events of one key",
        ]),
        ("{on: hook, target: demo, once: {until: finish}}", [
            (
                "3:54: triggers.t.once.until: should be 'started' or 'finished' "
                "or expected a duration such as 45s, 2h30m or 7d, got 'finish'; did you mean 'finished'?"
            ),
        ]),
        ("{on: hook, target: demo, mode: shaddow}", [
            "3:46: triggers.t.mode: should be 'run' or 'shadow'; did you mean 'shadow'?",
        ]),
        ("{on: hook, target: demo, when: 'a ==', payload: {a: '{{ b'}, once: {key: '{{ nobody }}'}}", None),
    ],
)  # fmt: skip
def test_a_wrong_trigger_gets_its_places(problems: Problems, trigger: str, expected: list[str] | None) -> None:
    found = problems(f"{GOOD}triggers: {{t: {trigger}}}")

    if expected is None:
        assert [problem.split(": ")[:2] for problem in found] == [
            ["config.yaml:3:46", "triggers.t.when"],
            ["config.yaml:3:67", "triggers.t.payload.a"],
            ["config.yaml:3:88", "triggers.t.once.key"],
        ]
    else:
        assert found == [f"config.yaml:{problem}" for problem in expected]


def test_what_is_wrong_in_one_place_hides_nothing_in_another(problems: Problems) -> None:
    """Keys, values, syntax and names that lead nowhere, all at once; and nothing that only follows from them."""
    found = problems("""
server:
  host: 0.0.0.0
  prot: 8080
access:
  tokens: [{name: a, token: "${UNSET}", role: admn}]
sources:
  good: {kind: webhook, verify: {scheme: none}}
  bad: {kind: webhook}
targets:
  good: {kind: http, url: "http://localhost/", hold: night}
  bad: {kind: http, url: "http://localhost/", timeout: soon}
windows:
  nigth: {cron: "0 22 * * sat", for: 4h, timezone: Mars}
triggers:
  a: {on: bad, target: bad, when: "1 +"}
  b: {on: bda, target: good, debounce: 5}
""")

    assert [problem.split(": ")[:2] for problem in found] == [
        ["config.yaml:4:3", "server.prot"],
        ["config.yaml:6:29", "access.tokens.0.token"],
        ["config.yaml:6:47", "access.tokens.0.role"],
        ["config.yaml:9:3", "sources.bad.verify"],
        ["config.yaml:11:54", "targets.good.hold"],
        ["config.yaml:12:56", "targets.bad.timeout"],
        ["config.yaml:14:52", "windows.nigth.timezone"],
        ["config.yaml:16:35", "triggers.a.when"],
        ["config.yaml:17:11", "triggers.b.on"],
        ["config.yaml:17:40", "triggers.b.debounce"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "server: {port: '${SECRET}'}",
        "server: {public_url: '${SECRET}'}",
        "server: {lease: '${SECRET}'}",
        "server: {lease: '${file:secret}'}",
        "server: {max_body: 'a${SECRET}b'}",
        "server: {trusted_proxies: ['${SECRET}']}",
        "database: {url: '${SECRET}'}",
        "database: {pgbouncer: '${SECRET}'}",
        "access: {tokens: [{name: a, token: b, role: '${SECRET}'}]}",
        "sources: {a: {kind: '${SECRET}'}}",
        "sources: {a: {preset: '${SECRET}'}}",
        "sources: {a: {preset: netbox, secret: x, rate: '${SECRET}'}}",
        "sources: {a: {preset: netbox, secret: ['${SECRET}', {a: '${SECRET}'}]}}",
        "sources: {a: {kind: webhook, verify: {scheme: '${SECRET}'}}}",
        "targets: {a: {kind: http, url: '${SECRET}'}}",
        "targets: {a: {kind: http, url: 'http://x/', tls: {ca: '${SECRET}'}}}",
        "targets: {a: {kind: http, url: 'http://x/', hold: '${SECRET}'}}",
        "windows: {a: {cron: '${SECRET}', for: '${SECRET}', timezone: '${SECRET}'}}",
        "windows: {a: {cron: '0 ${SECRET} * * *', for: 1h}}",
        "triggers: {a: {on: '${SECRET}', target: '${SECRET}'}}",
        "triggers: {a: {on: {run: '${SECRET}'}, target: x}}",
        "triggers: {a: {on: api, target: x, when: '${SECRET}', payload: {a: '{{ ${SECRET} }}'}}}",
        "triggers: {a: {on: api, target: x, once: {until: '${SECRET}', key: '{{ ${SECRET} }}'}}}",
        "triggers: {a: {on: api, target: x, debounce: 1s, payload: {a: '${SECRET}'}}}",
        "include: ['${SECRET}', '../${SECRET}']",
    ],
)
@pytest.mark.parametrize("secret", ["hunter2", "hunter2 {{ hunter2", "hunter2'\"\\" + "hunter2" * 30])
def test_s09_no_message_holds_what_came_from_outside(problems: Problems, text: str, secret: str) -> None:
    """Not even a part of it, wherever in the file it was put."""
    found = problems(text, {"SECRET": secret}, {"secret": secret})

    assert found
    assert "hunter" not in "\n".join(found)


def test_a_message_says_instead_where_it_came_from(problems: Problems) -> None:
    found = problems("server: {lease: '${SECRET}', max_body: 'x ${file:secret}'}", {"SECRET": "a"}, {"secret": "b"})

    assert found == [
        "config.yaml:1:17: server.lease: expected a duration such as 45s, 2h30m or 7d, got '${SECRET}'",
        "config.yaml:1:40: server.max_body: expected a size such as 512KiB or 1MiB, got 'x ${file:secret}'",
    ]


def test_an_unset_variable_is_all_that_is_wrong_with_its_place(problems: Problems) -> None:
    assert problems("server: {port: '${PORT}'}") == ["config.yaml:1:16: server.port: the variable PORT is not set"]


def test_what_comes_from_the_environment_is_read_as_its_field_wants_it(load: Load) -> None:
    config = load(
        """
server: {port: "${NUMBER}", max_body: "${NUMBER}", labels: ["${NUMBER}"]}
database: {pgbouncer: "${FLAG}"}
access: {tokens: [{name: ops, token: "${ZEROS}", role: admin}]}
""",
        {"NUMBER": "4242", "FLAG": "true", "ZEROS": "007"},
    ).config

    assert (config.server.port, config.server.max_body, config.server.labels) == (4242, 4242, ("4242",))
    assert config.database.pgbouncer is True
    assert config.access.tokens[0].digest == digest_of("007")


@pytest.mark.parametrize("flag", ["no", "yes", "1", "on", ""])
def test_the_environment_knows_no_other_booleans_either(problems: Problems, flag: str) -> None:
    assert problems("database: {pgbouncer: '${FLAG}'}", {"FLAG": flag}) == [
        "config.yaml:1:23: database.pgbouncer: should be true or false"
    ]


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ("{}", ["3:10: alerts.ops.target: is missing: What is called; nothing is told about this target itself."]),
        ("{target: dmo}", ["3:24: alerts.ops.target: there is no target 'dmo'; did you mean 'demo'?"]),
        ("{target: demo, targets: [demo, dmo]}", [
            "3:46: alerts.ops.targets.1: there is no target 'dmo'; did you mean 'demo'?",
        ]),
        ("{target: demo, schedules: [nightli]}", [
            "3:42: alerts.ops.schedules.0: there is no schedule 'nightli'; did you mean 'nightly'?",
        ]),
        ("{target: demo, on: [recovered]}", [
            "3:30: alerts.ops.on: recovered goes with failing or stale, whose end it is",
        ]),
        ("{target: demo, after: 0, repeat: 0s}", [
            "3:37: alerts.ops.after: should be at least 1",
            "3:48: alerts.ops.repeat: should be more than nothing",
        ]),
    ],
)  # fmt: skip
def test_p9_an_alert_gets_its_places(problems: Problems, alert: str, expected: list[str]) -> None:
    text = f"""\
targets: {{demo: {{kind: http, url: http://x}}}}
schedules: {{nightly: {{cron: "0 1 * * *", target: demo}}}}
alerts: {{ops: {alert}}}"""

    assert problems(text) == [f"config.yaml:{problem}" for problem in expected]


def test_p9_a_misspelt_thing_to_tell_gets_the_nearest_word(problems: Problems) -> None:
    text = "targets: {demo: {kind: http, url: http://x}}\nalerts: {ops: {target: demo, on: [faling]}}"
    [problem] = problems(text)

    assert problem.startswith("config.yaml:2:35: alerts.ops.on.0: should be 'failing', 'recovered', 'stale'")
    assert problem.endswith("did you mean 'failing'?")


def test_p9_a_success_that_is_forgotten_says_nothing(problems: Problems) -> None:
    text = "targets: {demo: {kind: http, url: http://x, stale_after: 31d}}"

    assert problems(text) == [
        "config.yaml:1:58: targets.demo.stale_after: is longer than runs are kept: see retention.runs"
    ]
