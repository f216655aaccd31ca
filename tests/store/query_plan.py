"""How a database goes about the statements of a transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import event

from gateway.store.database import Database
from gateway.store.writer import A, R, Transaction, Work


async def plan_of(database: Database, transaction: Transaction[A, R], request: A, beginning: str) -> str:
    """Of those that begin so; the transaction is carried out."""
    plans: list[str] = []

    def explained(work: Work, requests: Sequence[A]) -> Sequence[R | Exception]:
        statements: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            statements.append((statement, parameters))

        event.listen(work.connection, "before_cursor_execute", note)
        results = transaction(work, requests)
        event.remove(work.connection, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        for statement, parameters in statements:
            if statement.startswith(beginning):
                rows = work.connection.exec_driver_sql(explain + statement, parameters)
                plans.extend(str(row[-1]) for row in rows)
        return results

    await database.commit(explained, request)
    return "\n".join(plans)
