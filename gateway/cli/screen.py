"""A run as it goes on: its log line by line, and below it, where that is a terminal, how far it has come."""

from collections.abc import Mapping
from typing import Any, Self

import click
from rich import progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from gateway.cli.progress import in_words, percent_of
from gateway.cli.stream import Event
from gateway.core.printable import one_line
from gateway.core.transcript import heading, log_line, outcome


class Screen:
    """Shows the events of a run's log; where nobody looks, how far it has come is a line among the others."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self._bar = progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)
        self._told: str | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        match event.name:
            case "run":
                self.tell(event.json)
            case "attempt":
                self._print(heading(event.json))
            case "log":
                for line in event.data.split("\n"):
                    self._print(log_line(line))
            case "outcome":
                attempt = event.json
                self._print(one_line(f"== attempt {attempt['number']}: {outcome(attempt)}"))

    def tell(self, run: Mapping[str, Any]) -> None:
        """How a run is, and how far it has come."""
        words, percent = in_words(run.get("progress")), percent_of(run.get("progress"))
        state = one_line(f"{run['state']}{f', {words}' if words else ''}")
        self._bar.update(self._task, description=state, total=None if percent is None else 100, completed=percent or 0)
        if words and words != self._told and not self._console.is_terminal:
            self._print(f"-- {words}")
        self._told = words

    def _print(self, line: str) -> None:
        if self._console.is_terminal:
            self._console.out(line, highlight=False)
        else:
            click.echo(line, file=self._console.file)  # as it is: rich would make spaces of tabs
