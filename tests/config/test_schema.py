"""The JSON schema of the file."""

from typing import Any

import pytest
import yaml

from gateway.config import json_schema, schema
from gateway.config.library import SECTIONS, bundled
from gateway.config.model import Config
from gateway.config.problem import Place
from gateway.config.tree import Mapping, plant


def entries(section: str) -> list[dict[str, Any]]:
    (entry,) = schema(bundled())["properties"][section]["patternProperties"].values()
    forms: list[dict[str, Any]] = entry["anyOf"]
    return forms


def test_it_has_every_section_and_include() -> None:
    assert schema(bundled())["properties"].keys() == {*Config.model_fields, "include"}
    assert schema(bundled())["additionalProperties"] is False


@pytest.mark.parametrize("section", SECTIONS)
def test_it_has_a_form_for_every_preset(section: str) -> None:
    named = {form["properties"]["preset"]["const"]: form for form in entries(section) if "properties" in form}

    assert tuple(named) == bundled().names(section)
    for name, form in named.items():
        params = bundled().load(section, name).params
        assert {*form["required"]} == {"preset"} | {key for key, param in params.items() if param.required}
        assert form["properties"].keys() == {"preset", *params}


def test_numbers_may_be_references() -> None:
    port = schema(bundled())["$defs"]["Server"]["properties"]["port"]

    assert [form["type"] for form in port["anyOf"]] == ["integer", "string"]
    assert port["default"] == 8080


def test_it_knows_the_short_forms_of_on() -> None:
    assert [form.get("type") for form in schema(bundled())["$defs"]["Trigger"]["properties"]["on"]["anyOf"]] == [
        "string",
        None,
        "array",
    ]


def test_asking_for_it_does_not_change_it() -> None:
    assert schema(bundled()) == schema(bundled())


def test_it_says_which_keys_there_may_be() -> None:
    text = "sources: {a: {kind: webhook, verify: {scheme: none}}}\ntriggers: {t: {on: [{source: a}]}}"
    tree = plant(yaml.safe_load(text), Place("a.yaml"))
    assert isinstance(tree, Mapping)

    assert json_schema.known_keys(("sources", "a", "verify"), tree) == {"scheme"}
    assert json_schema.known_keys(("triggers", "t", "on", 0), tree) == {"source", "type", "run", "state"}
    assert json_schema.known_keys(("nowhere", 5), tree) == set()
    assert json_schema.description(("sources", "a", "verify"), tree).startswith("How senders prove")
