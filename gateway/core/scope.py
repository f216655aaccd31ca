"""One rendering of a template: the names it sees, and how much work it may still do.

Work is counted, not timed, so that the same template and data always give the same result. A unit is about a character
to copy; whatever is done once for each of many items costs `STEP` of them.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.utils import missing

MAX_TEXT = 8 * 2**20
WORK = 10_000_000
STEP = 150

_SIZED = (str, list, tuple, dict, range)


class Scope(Context):
    """As Jinja's own context, without its parts for template inheritance: they take longer than most expressions."""

    def __init__(self, environment: Environment, eval_ctx: EvalContext, names: Mapping[str, Any]) -> None:
        self.environment = environment
        self.eval_ctx = eval_ctx
        self.parent = {**environment.globals, **names}
        self.vars = {}
        self._work_left = WORK

    def resolve_or_missing(self, key: str) -> Any:
        return self.parent.get(key, missing)

    def spend(self, units: int) -> None:
        """Takes from what may still be done. Raises `SecurityError` when nothing is left."""
        self._work_left -= units
        if self._work_left < 0:
            raise SecurityError("too much work for one template")


def weight(value: Any) -> int:
    """How much work it is, roughly, to go through a value."""
    return len(value) if isinstance(value, _SIZED) else 0


def refuse_size(size: int) -> None:
    """Raises `SecurityError` for a text or list that is too large to be made."""
    if size > MAX_TEXT:
        raise SecurityError(f"more than {MAX_TEXT} characters or items")
