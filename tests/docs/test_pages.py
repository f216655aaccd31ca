"""The documents say what the code says: generated parts are up to date, links lead somewhere, commands exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli import COMMANDS, main
from tests.docs.pages import DOCS, GENERATED, commands, made_anew
from tests.docs.reference import reference
from tests.gateways import ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"(?<![\w-])gateway ([^#|&>]*)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", GENERATED, ids=name_of)
def test_what_is_made_from_the_code_is_up_to_date(page: Path) -> None:
    assert page.read_text() == made_anew(page), "python -m tests.docs makes it anew"


def test_every_key_of_the_configuration_is_described() -> None:
    assert [row for row in reference().splitlines() if row.endswith("|  |")] == []


def anchors_of(page: Path) -> set[str]:
    """As they are made of headings where documents are looked at."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in _LINK.findall(_FENCED.sub("", page.read_text())):
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), file
        assert not anchor or anchor in anchors_of(linked), f"{file}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / file).resolve() for file, _ in _LINK.findall(index.read_text()) if file}

    assert {page for page in PAGES if page.parent == DOCS} - {index} <= listed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_written_as_they_can_be_typed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that do not exist, and arguments that are missing, are found without doing anything."""
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        for typed in _TYPED.findall(line):
            refuse_what_cannot_be_typed(typed)


def test_the_readme_names_every_command() -> None:
    table = (ROOT / "README.md").read_text().partition("## Command line")[2]
    named = {word for told in re.findall(r"`([^`]+)`", table) for word in told.split()}

    assert [name for section in COMMANDS.values() for name in section if name not in named] == []


def refuse_what_cannot_be_typed(typed: str) -> None:
    group: click.Command = main
    context = click.Context(main, info_name="gateway")
    words = shlex.split(typed)
    while isinstance(group, click.Group) and words:
        found = group.get_command(context, words.pop(0))
        assert found is not None, typed
        group, context = found, click.Context(found, parent=context, info_name=found.name)
    for file in (word for word in words if word.endswith((".json", ".yaml"))):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    group.make_context(group.name, words, parent=context)
