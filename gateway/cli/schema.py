"""`gateway schema`."""

from pathlib import Path

import click

from gateway.cli import options
from gateway.cli.configuration import library
from gateway.cli.display import print_json
from gateway.config import schema


@click.command()
@options.config
def command(*, config_file: Path) -> None:
    """Print the JSON schema of configuration files, for editors.

    It knows the presets of the gateway, and those of the configuration's `presets_dir`, if there is one.

    With the YAML plug-in of most editors it completes and explains: keep it beside the configuration, and begin that
    with the line

        # yaml-language-server: $schema=gateway.schema.json
    """
    print_json(schema(library(config_file)))
