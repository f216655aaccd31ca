"""What `gateway serve` does before there is a gateway."""

import sys
from collections.abc import Collection
from pathlib import Path

import click
import structlog

from gateway import log
from gateway.app import run
from gateway.cli.configuration import load
from gateway.cli.failure import Exit, Failure
from gateway.cli.invitation import invitation
from gateway.config import Loaded
from gateway.core.secrecy import hide
from gateway.runtime.role import Role

logger = structlog.get_logger(__name__)


def start(config_file: Path, roles: Collection[Role]) -> int:
    """Serves until it is told to end; the exit code. Raises `Failure` where the configuration cannot be used."""
    try:
        log.configure()
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from error
    loaded = load(config_file)
    hide(log.secrets_in(loaded.config))
    for warning in loaded.warnings:
        logger.warning("config.warning", warning=str(warning))
    if Role.WEB in roles:
        _invite(loaded, config_file)
    return run(loaded, config_file, roles)


def _invite(loaded: Loaded, config_file: Path) -> None:
    lines = invitation(loaded, config_file)
    if lines and sys.stderr.isatty():
        click.echo("Once it is ready, try it with\n" + "\n".join(f"  {line}" for line in lines), err=True)
    elif lines:
        logger.info("gateway.try", lines=lines)
