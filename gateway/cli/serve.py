"""`gateway serve`."""

import sys
from pathlib import Path

import click
import structlog

from gateway import log
from gateway.app import Role, hold_reloads, run
from gateway.cli import options
from gateway.cli.configuration import load
from gateway.cli.failure import Exit, Failure
from gateway.cli.invitation import invitation
from gateway.config import Loaded

logger = structlog.get_logger(__name__)

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
    hold_reloads()
    try:
        log.configure()
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from error
    loaded = load(config_file)
    log.hide(log.secrets_in(loaded.config))
    for warning in loaded.warnings:
        logger.warning("config.warning", warning=str(warning))
    roles = frozenset(Role) if ALL in names else frozenset(map(Role, names))
    if Role.WEB in roles:
        _invite(loaded, config_file)
    ctx.exit(run(loaded, config_file, roles))


def _invite(loaded: Loaded, config_file: Path) -> None:
    lines = invitation(loaded, config_file)
    if lines and sys.stderr.isatty():
        click.echo("Once it is ready, try it with\n" + "\n".join(f"  {line}" for line in lines), err=True)
    elif lines:
        logger.info("gateway.try", lines=lines)
