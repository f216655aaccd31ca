"""Options that several commands have."""

from pathlib import Path

import click

config = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="GATEWAY_CONFIG",
    default="config.yaml",
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The configuration.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
since = click.option("--since", metavar="TIME", help="From then on: 2027-01-15T22:00:00Z, or an age such as 2h.")
until = click.option("--until", metavar="TIME", help="Before that: likewise.")
limit = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
pausable = click.argument("kind", type=click.Choice(["target", "schedule"]))
