"""`gateway completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Have a shell complete commands.

    Prints what the SHELL needs for that. Into ~/.bashrc goes: eval "$(gateway completion bash)", into ~/.zshrc: eval
    "$(gateway completion zsh)", and into ~/.config/fish/config.fish: gateway completion fish | source
    """
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 - click has all of these
    click.echo(completion(ctx.find_root().command, {}, "gateway", "_GATEWAY_COMPLETE").source())
