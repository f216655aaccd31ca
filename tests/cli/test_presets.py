"""`gateway presets` and `gateway schema`."""

from pathlib import Path

import orjson

from gateway.config.library import SECTIONS, bundled
from tests.cli.conftest import Run
from tests.cli.stub import Stub


def test_all_presets_are_listed(gateway: Run) -> None:
    lines = gateway("presets", "list").stdout.splitlines()

    assert lines[0].split("\t") == ["name", "section", "description"]
    known = [(name, section) for section in SECTIONS for name in bundled().names(section)]
    assert [tuple(line.split("\t")[:2]) for line in lines[1:]] == known


def test_a_preset_is_shown_as_it_is_written(gateway: Run) -> None:
    result = gateway("presets", "show", "netbox")

    assert "X-Hook-Signature" in result.stdout
    assert "# NetBox" in result.stdout


def test_a_preset_as_json(gateway: Run) -> None:
    shown = orjson.loads(gateway("presets", "show", "netbox", "--json").stdout)

    assert shown["params"]["secret"]["required"] is True


def test_an_unknown_preset_suggests_the_nearest(gateway: Run) -> None:
    result = gateway("presets", "show", "net\x1bbox")

    assert result.exit_code == 2
    assert r"net\x1bbox" in result.stderr
    assert "netbox" in result.stderr


def test_the_schema_is_json(gateway: Run) -> None:
    schema = orjson.loads(gateway("schema").stdout)

    assert {"sources", "targets", "triggers"} <= schema["properties"].keys()


def test_presets_of_ones_own_are_listed_shown_imitated_and_in_the_schema(gateway: Run, stub: Stub) -> None:
    Path("own/sources").mkdir(parents=True)
    Path("own/samples").mkdir()
    text = "description: Doors\nsettings: {kind: webhook, verify: {scheme: none}}\nsample: {headers: {X-Kind: door}}\n"
    Path("own/sources/door.yaml").write_text(text)
    Path("own/samples/door.json").write_text('{"state": "open"}')
    Path("config.yaml").write_text("presets_dir: own\nsources: {d: {preset: door}}")
    stub.answers = [(202, {"event_id": "e", "duplicate": False, "decisions": []})]

    assert "door\tsources\tDoors" in gateway("presets", "list").stdout.splitlines()
    assert gateway("presets", "show", "door").stdout == text
    assert '"const": "door"' in gateway("schema").stdout
    assert gateway("send", "d").exit_code == 0
    assert (stub.asked[0].body, stub.asked[0].headers["x-kind"]) == (b'{"state":"open"}', "door")


def test_presets_are_listed_whatever_else_is_wrong_with_the_configuration(gateway: Run) -> None:
    Path("config.yaml").write_text("sources: {d: {preset: '${NOWHERE}'}, e: 1}")

    assert gateway("presets", "list").exit_code == 0


def test_a_folder_that_is_missing_is_named(gateway: Run) -> None:
    Path("config.yaml").write_text("presets_dir: nowhere")
    result = gateway("presets", "list")

    assert result.exit_code == 2
    assert "presets_dir: there is no such folder" in result.stderr
