"""`gateway presets` and `gateway schema`."""

import orjson

from gateway.config import presets
from tests.cli.conftest import Run


def test_all_presets_are_listed(gateway: Run) -> None:
    lines = gateway("presets", "list").stdout.splitlines()

    assert lines[0].split("\t") == ["name", "section", "description"]
    known = [(name, section) for section in presets.SECTIONS for name in presets.names(section)]
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
