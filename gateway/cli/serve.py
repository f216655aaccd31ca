"""`gateway serve`."""

import signal
from pathlib import Path

import click

from gateway.cli import options
from gateway.runtime.role import Role

ALL = "all"


@click.command()
@options.config
@click.option(
    "--role",
    "names",
    type=click.Choice([ALL, *(role.value for role in Role)]),
    multiple=True,
    default=[ALL],
    show_default=True,
    help="What this process does; may be given several times.",
)
@click.pass_context
def command(ctx: click.Context, config_file: Path, names: tuple[str, ...]) -> None:
    """Start the gateway.

    It ends in order on SIGTERM or Ctrl-C, and reads its configuration anew on SIGHUP. Several processes on one
    PostgreSQL may share the work: web takes events and serves the API, worker carries out runs, scheduler makes the
    ticks of schedules; whoever is not web answers probes only.

    Logs go to standard error: as JSON, on a terminal in columns; GATEWAY_LOG_FORMAT (json, console) and
    GATEWAY_LOG_LEVEL (debug, info, warning, error) say otherwise. Exit code 2 if it cannot start.
    """
    # until there is something to reload; by itself a SIGHUP would be the end of the process
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    from gateway.cli.start import start  # noqa: PLC0415 - what it imports takes long

    ctx.exit(start(config_file, frozenset(Role) if ALL in names else frozenset(map(Role, names))))
