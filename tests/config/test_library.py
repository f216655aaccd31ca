"""Presets of a user's own, beside those of the gateway."""

from pathlib import Path

import pytest

from gateway import config
from gateway.config.library import bundled
from gateway.sources.webhook import Settings
from tests.config.conftest import Load, Problems

DOOR = """
description: Doors of the cellar
params: {secret: {required: true, description: "Of the door"}}
settings:
  kind: webhook
  verify: {scheme: token, name: X-Door, secret: "$(secret)"}
  event: {type: "door.{{ body.state }}"}
sample: {headers: {X-Kind: door}}
"""
USED = "presets_dir: own\nsources: {d: {preset: door, secret: k}}"
FILES = {"own/sources/door.yaml": DOOR, "own/samples/door.json": '{"state": "open"}'}


def test_one_is_used_as_any_other(load: Load) -> None:
    loaded = load(USED, files=FILES)
    settings = loaded.config.sources["d"]

    assert isinstance(settings, Settings)
    assert settings.event.type.source == "door.{{ body.state }}"
    assert loaded.presets == {"d": "door"}
    assert loaded.library.body("sources", "door") == '{"state": "open"}'
    assert loaded.library.names("sources") == tuple(sorted([*bundled().names("sources"), "door"]))


def test_the_folder_is_found_from_that_of_the_configuration(load: Load, tmp_path: Path) -> None:
    load(USED, files=FILES)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.yaml").write_text(USED.replace("own", "../own"))

    assert config.load(tmp_path / "elsewhere" / "config.yaml", {}).presets == {"d": "door"}


def test_it_can_be_named_by_the_environment(load: Load) -> None:
    text = "sources: {d: {preset: door, secret: k}}"

    assert load(text, {"GATEWAY__PRESETS_DIR": "own"}, FILES).presets == {"d": "door"}


def test_a_changed_preset_changes_the_configuration(load: Load) -> None:
    first, same = load(USED, files=FILES), load(USED, files=FILES)
    other = load(USED, files=FILES | {"own/sources/door.yaml": DOOR.replace("X-Door", "X-Gate")})

    assert first.hash == same.hash != other.hash


def test_what_it_asks_for_and_what_is_misspelt_is_said(problems: Problems) -> None:
    assert problems(USED.replace(", secret: k", ""), files=FILES) == [
        "config.yaml:2:23: sources.d: the preset door needs 'secret': Of the door"
    ]
    [problem] = problems(USED.replace("secret: k", "secret: k, secrets: k"), files=FILES)
    assert "did you mean 'secret'" in problem
    [problem] = problems(USED.replace("door", "dor"), files=FILES)
    assert "did you mean 'door'" in problem


def test_a_name_that_the_gateway_uses_is_refused(problems: Problems) -> None:
    assert problems("presets_dir: own", files={"own/sources/netbox.yaml": DOOR}) == [
        "config.yaml:1:14: presets_dir: sources/netbox.yaml: the gateway has a preset of this name; give yours another"
    ]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.yaml", "settings: {}", "a.yaml:1:1: description: is missing"),
        ("a.yaml", "", "a.yaml:1:1: description: is missing"),
        ("a.yaml", "description: x\nsettings: []", "a.yaml:2:1: settings: should be a mapping"),
        ("a.yaml", "description: x\nsettings: {}\nsecret: x", "a.yaml:3:9: secret: unknown key"),
        ("a.yaml", "description: x\nparams: {p: {need: 1}}\nsettings: {}", "a.yaml:2:20: params.p.need: unknown key"),
        ("a.yaml", "- x", "a.yaml:1:1: should be"),
        ("a.yaml", "description: [", "a.yaml:2:1: not YAML"),
        ("A b.yaml", DOOR, "A b.yaml:1:1: a preset is called by"),
        ("a.yaml/x", DOOR, "a.yaml: cannot be read"),
    ],
)
def test_a_broken_one_says_where(problems: Problems, name: str, text: str, problem: str) -> None:
    [said] = problems("presets_dir: own", files={f"own/sources/{name}": text})

    assert f"own/sources/{problem}" in said


def test_other_files_are_none_of_its_business(load: Load) -> None:
    files = FILES | {"own/README.md": "x", "own/sources/door.yaml~": "[", "own/triggers/x.yaml": "["}

    assert load(USED, files=files).presets == {"d": "door"}


@pytest.mark.parametrize("folder", ["nowhere", "config.yaml"])
def test_a_folder_that_is_none_is_named(problems: Problems, folder: str) -> None:
    assert problems(f"presets_dir: {folder}") == ["config.yaml:1:14: presets_dir: there is no such folder"]


def test_a_folder_that_is_no_text_is_refused(problems: Problems) -> None:
    [problem] = problems("presets_dir: [own]")

    assert problem.startswith("config.yaml:1:1: presets_dir: ")


def test_an_empty_folder_has_none(load: Load) -> None:
    assert load("presets_dir: own", files={"own/x": ""}).library == bundled()
