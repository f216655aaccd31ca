"""What people see: tables and fields, plain where nobody looks; nothing from outside gets to steer the terminal."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import orjson
from rich import box
from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from gateway.core.printable import one_line, safe_json

HASH_SHOWN = 12
"""Characters of a configuration's hash; nobody needs the rest to tell two of them apart."""
UNBROKEN = 36
"""Characters of the widest column whose cells stay on one line: an id."""
_GAP = 3
_FRACTION = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+Z$", re.ASCII)
_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "retrying": "yellow",
    "failed": "red",
    "cancelled": "dim",
    "superseded": "dim",
    "enqueued": "green",
    "merged": "cyan",
    "error": "red",
    "ready": "green",
    "paused": "yellow",
    "held": "yellow",
    "unreachable": "red",
}


def print_json(value: Any) -> None:
    """A value as JSON, indented."""
    click.echo(safe_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))


def print_rows(columns: Sequence[str], items: Iterable[Mapping[str, Any]]) -> None:
    """What the items have in these columns: a table on a terminal, elsewhere lines with tabs below one of names."""
    lines = [[shown(item.get(column)) for column in columns] for item in items]
    if sys.stdout.isatty():
        _print_table(columns, lines)
    else:
        click.echo("\n".join("\t".join(line) for line in [columns, *lines]))


def print_page(page: Mapping[str, Any], columns: Sequence[str], *, as_json: bool) -> None:
    """A page of a list of the API, and whether there is more."""
    if as_json:
        print_json(page)
        return
    print_rows(columns, page["items"])
    if page.get("next"):
        click.echo("There is more: raise --limit, or narrow it down.", err=True)


def print_fields(fields: Mapping[str, Any]) -> None:
    """A name and a value on each line, without those that have none."""
    present = {one_line(name): shown(value) for name, value in fields.items() if value not in (None, [], {}, "")}
    width = max(map(len, present), default=0)
    for name, text in present.items():
        click.echo(f"{name.ljust(width)}  {text}")


def shown(value: Any) -> str:
    """A JSON value in one line, harmless."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return one_line(value)
        case _:
            return safe_json(orjson.dumps(value).decode())


def _print_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Without columns in which there is nothing; one that is too wide for the terminal is not squeezed into it."""
    cells = {column: [_FRACTION.sub("Z", line[place]) for line in lines] for place, column in enumerate(columns)}
    filled = {column: texts for column, texts in cells.items() if any(texts)} or cells
    widths = {column: max(map(len, [column, *texts])) for column, texts in filled.items()}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, width in widths.items():
        table.add_column(column, no_wrap=width <= UNBROKEN, overflow="fold")
    for line in zip(*filled.values(), strict=True):
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in line))
    needed = sum(min(width, UNBROKEN) + _GAP for width in widths.values())
    console = Console()
    console.size = ConsoleDimensions(max(console.width, needed), console.height)
    console.print(table)
