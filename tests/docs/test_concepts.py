"""The tables of the page about concepts, held against what decides; the enqueue-once table is made from it."""

import re

import pytest

from gateway.core.request import Verb
from gateway.core.schedule import Overlap, Schedule
from tests.docs.pages import DOCS

PAGE = (DOCS / "concepts.md").read_text()
_AS = re.compile(r"^\| `(\w+)`(?: \(default\))? \| (?:`until: (\w+)`|no `once`) \|", re.MULTILINE)


@pytest.mark.parametrize("overlap", Overlap)
def test_an_overlap_is_as_the_column_of_the_table_that_is_named(overlap: Overlap) -> None:
    schedule = Schedule.model_validate({"interval": "1h", "target": "sync", "overlap": overlap})

    assert dict(_AS.findall(PAGE))[overlap] == (schedule.until or "")


def test_every_decision_is_explained() -> None:
    assert [verb for verb in Verb if f"| `{verb}` |" not in PAGE] == []
