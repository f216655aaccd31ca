"""Many rows at once: inserted without the work that SQLAlchemy does for each of them, and found by any number of keys.

The statement of an insert and the conversion of its values are compiled once per table and database; on the way in,
that is half of what an accepted event costs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Select, Table, Update, bindparam, insert, update
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from gateway.store.schema import runs

Row = dict[str, Any]
Pair = tuple[str, str]
T = TypeVar("T", str, tuple[str, str])

CHUNK = 10_000  # a statement takes 32,766 parameters

_compiled: dict[tuple[str, str, tuple[str, ...]], tuple[str, Callable[[Row], tuple[Any, ...]]]] = {}


def select_rows(connection: Connection, statement: Select[Any], wanted: Iterable[str]) -> list[Any]:
    """The rows of a statement over `wanted`, in order, however many that are."""
    return [row for chunk in _chunks(wanted) for row in connection.execute(statement, {"wanted": chunk})]


def select_pairs(connection: Connection, statement: Select[Any], wanted: set[Pair]) -> list[Any]:
    """The rows of a statement over `firsts` and `seconds` whose first two columns are one of some pairs.

    Each column is looked up by itself: that is one statement for any number of pairs, and one that uses an index.
    """
    rows: list[Any] = []
    for chunk in _chunks(wanted):
        firsts, seconds = ({pair[place] for pair in chunk} for place in (0, 1))
        rows += connection.execute(statement, {"firsts": sorted(firsts), "seconds": sorted(seconds)})
    return [row for row in rows if (row[0], row[1]) in wanted]


def _chunks(wanted: Iterable[T]) -> Iterator[list[T]]:
    ordered = sorted(wanted)
    return (ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK))


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row], *, unless_there: bool = False) -> None:
    """Inserts rows that all have the same columns; columns that are left out get their default."""
    if not rows:
        return
    defaults = {
        column.name: column.default.arg
        for column in table.columns
        if isinstance(column.default, ScalarElementColumnDefault) and column.name not in rows[0]
    }
    statement, to_parameters = _compile(connection.dialect, table, (*rows[0], *defaults))
    passing = " ON CONFLICT DO NOTHING" if unless_there else ""
    connection.exec_driver_sql(statement + passing, [to_parameters({**row, **defaults}) for row in rows])


def update_runs(connection: Connection, columns: tuple[str, ...], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes these columns of runs, by their ids, in the order in which everybody locks runs."""
    if rows:
        changes = [{"of_run": run, **{f"new_{name}": rows[run][name] for name in columns}} for run in sorted(rows)]
        connection.execute(_updating(columns), changes)


@cache
def _updating(columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(runs).where(runs.c.id == bindparam("of_run")).values(values)


def _compile(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[str, Callable[[Row], tuple[Any, ...]]]:
    key = (dialect.name, table.name, names)
    if key not in _compiled:
        compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
        order = compiled.positiontup or []
        _compiled[key] = (str(compiled), _converter(dialect, table, order))
    return _compiled[key]


def _converter(dialect: Dialect, table: Table, order: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    processors = [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order]

    def convert(row: Row) -> tuple[Any, ...]:
        return tuple([process(row[name]) if process else row[name] for name, process in processors])

    return convert
