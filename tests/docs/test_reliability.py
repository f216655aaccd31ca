"""The page about what is promised names tests that there are, and that are run."""

import ast
import re
from functools import cache

from tests.docs.pages import DOCS
from tests.gateways import ROOT

PAGE = (DOCS / "reliability.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def _tests_in(file: str) -> frozenset[str]:
    """Those of a file that every run of the tests has: without the long ones."""
    text = (ROOT / file).read_text()
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    short = (
        node.name for node in found if "soak" not in {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    )
    return frozenset(name for name in short if name.startswith("test_"))


def test_the_tests_that_are_named_exist() -> None:
    named = _NAMED.findall(PAGE)

    assert [f"{file}::{name}" for file, name in named if name not in _tests_in(file)] == []


def test_each_promise_has_a_test() -> None:
    promises = PAGE.split("\n## ")[1:]

    assert len(promises) == 9 + 1  # how far the tests themselves can be trusted comes last
    assert [promise.partition("\n")[0] for promise in promises if not _NAMED.search(promise)] == []
