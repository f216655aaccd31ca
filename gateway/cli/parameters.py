"""Values on the command line that are more than texts."""

from datetime import timedelta
from typing import Any

import click
import orjson

from gateway.core.duration import parse_duration
from gateway.core.printable import one_line


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(one_line(str(error)), param, ctx)


class _Json(click.ParamType[Any]):
    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return orjson.loads(value)
        except ValueError as error:
            self.fail(f"no JSON: {one_line(str(error))}", param, ctx)


DURATION = _Duration()
JSON = _Json()
