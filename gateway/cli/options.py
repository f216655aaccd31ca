"""Options that several commands have."""

from pathlib import Path

import click

from gateway.core.printable import one_line


def _read_pairs(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition(":") for text in texts]
    if broken := [name for name, colon, value in pairs if not (name and colon and _fits_header(name + value))]:
        raise click.BadParameter(f"expected NAME:VALUE, got {one_line(broken[0])}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _read_reason(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    if text is not None and not (text.strip() and text.isprintable()):
        raise click.BadParameter("expected one line of text")
    return text


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
headers = click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    callback=_read_pairs,
    help="Goes over the sender's own.",
)
properties = click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME:VALUE",
    callback=_read_pairs,
    help="Of a message of a queue, such as routing_key or message_id.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
since = click.option("--since", metavar="TIME", help="From then on: 2027-01-15T22:00:00Z, or an age such as 2h.")
until = click.option("--until", metavar="TIME", help="Before that: likewise.")
reason = click.option("--reason", callback=_read_reason, help="Kept in the audit trail.")
limit = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
