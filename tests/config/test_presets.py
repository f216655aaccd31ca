"""What is known about a system, and what the user says beside it."""

from typing import Any

import pytest

from gateway.config.library import SECTIONS, Library, Preset, bundled
from gateway.sources import webhook
from gateway.sources.credentials import Basic, Token
from tests.config.conftest import Load, Problems

HTTP = Preset.model_validate(
    {
        "description": "Made up for these tests",
        "params": {
            "host": {"required": True, "description": "Where it is"},
            "port": {"default": 8000},
            "headers": {"default": {"X-Default": "yes"}},
            "key": {},
            "home": {"default": "http://$(host):$(port)"},
            "door": {"default": "$(host)?key=$(key)"},
        },
        "settings": {
            "kind": "http",
            "url": "http://$(host):$(port)/run",
            "headers": "$(headers)",
            "timeout": "7m",
            "retry": {"attempts": 3, "on": [409, 410]},
            "json": {
                "port": "$(port)",
                "key": "$(key)",
                "list": ["$(key)", "--key=$(key)", "$(host)"],
                "bearer": "Bearer $(key)",
                "home": "$(home)",
                "door": "$(door)",
                "no": "$ (port) $(",
                "n": 1,
            },
        },
    }
)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One preset for targets, called `made-up`."""
    monkeypatch.setattr(Library, "names", lambda _, section: ("made-up",) if section == "targets" else ())
    monkeypatch.setattr(Library, "load", lambda *_: HTTP)


def target(load: Load, entry: str, **environ: str) -> Any:
    return load(f"targets: {{t: {{preset: made-up, {entry}}}}}", environ).config.targets["t"]


@pytest.mark.usefixtures("made_up")
class TestParameters:
    def test_a_value_of_its_own_keeps_its_type_and_one_in_a_text_becomes_text(self, load: Load) -> None:
        settings = target(load, "host: h, port: 81")

        assert settings.url.source == "http://h:81/run"
        assert settings.json_body.source["port"] == 81

    def test_a_default_holds_where_nothing_is_given(self, load: Load) -> None:
        settings = target(load, "host: h")

        assert settings.url.source == "http://h:8000/run"
        assert settings.json_body.source["port"] == 8000

    def test_a_parameter_without_value_and_default_takes_its_key_along(self, load: Load) -> None:
        without = target(load, "host: h").json_body.source
        assert without == {"port": 8000, "list": ["h"], "home": "http://h:8000", "no": "$ (port) $(", "n": 1}
        given = target(load, "host: h, key: k").json_body.source
        assert (given["list"], given["bearer"], given["door"]) == (["k", "--key=k", "h"], "Bearer k", "h?key=k")

    def test_a_default_may_mention_other_parameters(self, load: Load) -> None:
        assert target(load, "host: h, port: 81").json_body.source["home"] == "http://h:81"
        assert target(load, "host: h, home: '$(port)'").json_body.source["home"] == "$(port)"

    def test_a_parameter_is_not_merged_but_put_in(self, load: Load) -> None:
        assert {*target(load, "host: h, headers: {X-Own: a}").headers} == {"X-Own"}

    def test_a_parameter_may_come_from_the_environment(self, load: Load) -> None:
        assert target(load, 'host: "${HOST}"', HOST="$(port)").url.source == "http://$(port):8000/run"

    def test_what_stands_beside_it_goes_over_it(self, load: Load) -> None:
        settings = target(load, "host: h, timeout: 1m, retry: {on: [425], base: 1s}, json: {n: 2}")

        assert settings.timeout.total_seconds() == 60
        assert (settings.retry.attempts, settings.retry.on, settings.retry.base.seconds) == (3, (425,), 1)
        assert settings.json_body.source["n"] == 2
        assert settings.json_body.source["port"] == 8000

    def test_a_missing_parameter_is_named_with_what_it_is(self, problems: Problems) -> None:
        assert problems("targets:\n  t:\n    preset: made-up\n") == [
            "config.yaml:3:13: targets.t: the preset made-up needs 'host': Where it is"
        ]

    def test_a_misspelt_parameter_is_an_unknown_key_with_the_right_one(self, problems: Problems) -> None:
        found = problems("targets: {t: {preset: made-up, host: h, prt: 1, retry: {atempts: 1}}}")

        assert found == [
            "config.yaml:1:41: targets.t.prt: unknown key; did you mean 'port'?",
            "config.yaml:1:57: targets.t.retry.atempts: unknown key; did you mean 'attempts'?",
        ]

    def test_an_error_in_what_the_preset_says_points_to_the_preset(self, problems: Problems) -> None:
        found = problems(
            "targets:\n  t:\n    preset: made-up\n    host: h\n    per_key: {key: a}\n    json: x\n    body: y\n"
        )

        assert [problem.split(" ")[0] for problem in found] == ["config.yaml:2:3:"]

    def test_an_error_in_what_a_parameter_became_points_to_the_parameter(self, problems: Problems) -> None:
        found = problems("targets:\n  t:\n    preset: made-up\n    host: h\n    headers: 5\n")

        assert found == ["config.yaml:5:14: targets.t.headers: should be a mapping, of keys to values"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sources: {a: {preset: netbix}}",
            "1:23: sources.a.preset: 'netbix' is no preset for sources; did you mean 'netbox'?",
        ),
        (
            "targets: {a: {preset: netbox}}",
            "1:23: targets.a.preset: 'netbox' is no preset for targets; it is one for sources",
        ),
        ("sources: {a: {preset: ../../x}}", "1:23: sources.a.preset: '../../x' is no preset for sources"),
        ("sources: {a: {preset: null}}", "1:23: sources.a.preset: None is no preset for sources"),
        ("sources: {a: {preset: [netbox]}}", "1:23: sources.a.preset: this is no preset for sources"),
        ("sources: {a: {preset: {a: b}}}", "1:23: sources.a.preset: this is no preset for sources"),
        ("triggers: {a: {preset: netbox, on: api, target: b}}", "1:16: triggers.a.preset: unknown key"),
        ("targets: {a: {preset: '${SECRET}'}}", "1:23: targets.a.preset: '${SECRET}' is no preset for targets"),
    ],
)
def test_s14_an_unknown_preset_is_refused(problems: Problems, text: str, problem: str) -> None:
    assert problems(text, {"SECRET": "hunter2"})[0] == f"config.yaml:{problem}"


def test_what_only_a_default_mentions_is_asked_for(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"host": {"required": True}, "url": {"default": "http://$(host)/"}}
    made_up = Preset.model_validate(
        {"description": "", "params": params, "settings": {"kind": "http", "url": "$(url)"}}
    )
    monkeypatch.setattr(Library, "names", lambda *_: ("made-up",))
    monkeypatch.setattr(Library, "load", lambda *_: made_up)

    assert problems("targets: {t: {preset: made-up}}") == [
        "config.yaml:1:23: targets.t: the preset made-up needs 'host'"
    ]


ALERTMANAGER = "sources: {{alerts: {{preset: alertmanager, {}}}}}"


def test_a_verify_of_another_scheme_stands_alone_and_needs_no_secret_of_the_preset(load: Load) -> None:
    verify = "verify: {scheme: basic, username: prometheus, password: p}"
    source = load(ALERTMANAGER.format(verify)).config.sources["alerts"]

    assert isinstance(source, webhook.Settings)
    assert isinstance(source.verify, Basic)
    assert source.event.type.source == "alertmanager.{{ body.status }}"


def test_a_verify_of_the_same_scheme_goes_over_that_of_the_preset(load: Load) -> None:
    source = load(ALERTMANAGER.format("secret: s, verify: {scheme: token, name: X-Token}")).config.sources["alerts"]

    assert isinstance(source, webhook.Settings)
    assert isinstance(source.verify, Token)
    assert (source.verify.name, source.verify.prefix) == ("X-Token", "Bearer ")


def test_a_secret_of_ones_own_makes_that_of_the_preset_needless(load: Load) -> None:
    assert load(ALERTMANAGER.format("verify: {secret: s}")).presets == {"alerts": "alertmanager"}


@pytest.mark.parametrize("scheme", ["token", "[basic]", "{a: b}", "null", "1"])
def test_a_scheme_that_is_none_or_the_same_lets_nobody_off(problems: Problems, scheme: str) -> None:
    assert problems(ALERTMANAGER.format(f"verify: {{scheme: {scheme}}}"))


def test_which_presets_the_sources_use_is_known(load: Load) -> None:
    loaded = load("sources:\n  a: {preset: netbox, secret: x}\n  b: {kind: webhook, verify: {scheme: none}}\n")

    assert loaded.presets == {"a": "netbox"}


ASKED = {
    "secret": "whsec_c2VjcmV0",
    "verify": "{scheme: none}",
    "url": "http://localhost",
    "api_key": "k",
    "token": "t",
    "workflow": "task_validate",
    "job": "7",
    "directory": "/srv/sync",
}


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section in SECTIONS for name in bundled().names(section)]
)
def test_every_preset_works_with_what_it_asks_for(load: Load, section: str, name: str) -> None:
    preset = bundled().load(section, name)
    required = "".join(f", {key}: {ASKED[key]}" for key, param in preset.params.items() if param.required)

    config = load(f"{section}: {{x: {{preset: {name}{required}}}}}").config

    assert getattr(config, section)["x"].kind == preset.settings["kind"]


def test_sections_without_presets_have_none() -> None:
    assert bundled().names("triggers") == ()
    with pytest.raises(KeyError):
        bundled().load("sources", "../sources/netbox")
