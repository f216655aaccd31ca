"""`gateway serve`."""

import sys
from pathlib import Path

import click
import structlog

from gateway import log
from gateway.app import run
from gateway.cli import options
from gateway.cli.configuration import load
from gateway.cli.failure import Exit, Failure
from gateway.cli.invitation import invitation
from gateway.config import Loaded


@click.command()
@options.config
@click.pass_context
def command(ctx: click.Context, config_file: Path) -> None:
    """Start the gateway.

    It ends in order on SIGTERM or Ctrl-C. Logs go to standard error: as JSON, on a terminal in columns;
    GATEWAY_LOG_FORMAT (json, console) and GATEWAY_LOG_LEVEL (debug, info, warning, error) say otherwise.
    Exit code 2 if it cannot start.
    """
    try:
        log.configure()
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from error
    loaded = load(config_file)
    log.hide(log.secrets_in(loaded.config))
    _announce(loaded, config_file)
    ctx.exit(run(loaded))


def _announce(loaded: Loaded, config_file: Path) -> None:
    logger = structlog.get_logger()
    for warning in loaded.warnings:
        logger.warning("config.warning", warning=str(warning))
    lines = invitation(loaded, config_file)
    if lines and sys.stderr.isatty():
        click.echo("Once it is ready, try it with\n" + "\n".join(f"  {line}" for line in lines), err=True)
    elif lines:
        logger.info("gateway.try", lines=lines)
