"""`gateway schema`."""

import click

from gateway import config
from gateway.cli.display import print_json


@click.command()
def command() -> None:
    """Print the JSON schema of configuration files, for editors.

    With the YAML plug-in of most editors it completes and explains: keep it beside the configuration, and begin that
    with the line

        # yaml-language-server: $schema=gateway.schema.json
    """
    print_json(config.schema())
