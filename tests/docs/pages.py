"""The pages of the documents: what stands on them to be tried, and the parts of them that are made from the code."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.docs.once_table import once_table
from tests.docs.reference import reference
from tests.gateways import ROOT

DOCS = ROOT / "docs"
GENERATED: dict[Path, Callable[[], str]] = {
    DOCS / "configuration.md": reference,
    DOCS / "concepts.md": once_table,
}
"""What makes the part of a page that stands between its two marks."""
BEGIN, END = "<!-- made by `python -m tests.docs` -->\n\n", "\n<!-- until here -->"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(text: str) -> list[tuple[str, str]]:
    """The blocks of a page, or of a part of one, in order: language and text."""
    return _BLOCK.findall(text)


def blocks(page: Path, language: str) -> list[str]:
    """Those of a page that are written in a language."""
    return [text for found, text in fenced(page.read_text()) if found == language]


def commands(page: Path) -> list[str]:
    """The lines of a page that are typed into a shell, without what is said about them."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line and not line.startswith("#")]


def made_anew(page: Path) -> str:
    """A page with what the code says today."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + GENERATED[page]().rstrip() + "\n" + END + after
