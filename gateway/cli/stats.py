"""`gateway stats`."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from gateway.cli import options
from gateway.cli.client import Client
from gateway.cli.display import print_json, print_rows
from gateway.core.printable import one_line

_FIGURES = (
    *("events", "runs", "merged", "duplicates", "filtered", "errors", "shadow", "skipped"),
    *("succeeded", "failed", "cancelled", "superseded"),
)
_COLUMNS = ("of", "name", *_FIGURES, "events per run")
_REQUESTS = ("runs", "merged", "duplicates")


@click.command()
@options.since
@options.as_json
def command(since: str | None, as_json: bool) -> None:
    """How many events came in, how many runs they made, and how these ended.

    Since a time; of a day, if nothing is said. `events per run` is by how much the gateway has made less of them: of a
    trigger or a target, by its requests.
    """
    stats = Client.from_environment().get("stats", since=since)
    if as_json:
        print_json(stats)
        return
    click.echo(f"Since {one_line(stats['since'])}")
    print_rows(_COLUMNS, _lines(stats))


def _lines(stats: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"of": "all", **stats["totals"], "events per run": stats["events_per_run"]}
    for source in stats["sources"]:
        yield {"of": "source", **source, "events per run": _ratio(source["events"], source["runs"])}
    for kind in ("trigger", "target"):
        for figures in stats[f"{kind}s"]:
            requests = sum(figures[name] for name in _REQUESTS)
            yield {"of": kind, **figures, "events": None, "events per run": _ratio(requests, figures["runs"])}


def _ratio(events: int, runs: int) -> float | None:
    return round(events / runs, 2) if runs else None
