"""The `gateway` command: one module per command or noun, loaded only when it is called, so that help comes at once.

What is told here comes from people, files and gateways, so everything is shown through `gateway.cli.display`.
"""

import click

from gateway import __version__
from gateway.cli.lazy import LazyGroup

COMMANDS = {
    "Commands": {
        "serve": "Start the gateway.",
        "check": "Say what is wrong with a configuration.",
        "schema": "Print the JSON schema of configuration files, for editors.",
        "presets": "Known systems, ready to be used.",
        "migrate": "Bring the database to what this version needs.",
        "backup": "Copy a SQLite database while the gateway goes on.",
        "send": "Post an event to a source, signed as its sender would.",
        "demo-target": "An endpoint to be called, which prints every call.",
        "completion": "Have a shell complete commands.",
    },
    "Commands that talk to a running gateway (GATEWAY_URL, GATEWAY_TOKEN)": {
        "status": "Nodes, targets and their runs at a glance.",
        "reload": "Have a running gateway read its configuration anew.",
        "run": "Run a target now.",
        "runs": "List, look at, follow, retry and cancel runs.",
        "events": "List, look at and replay events.",
        "explain": "Say what an event would come to, and why.",
        "targets": "List targets, and look at one.",
        "triggers": "List triggers, and what they decided.",
        "sources": "List sources, and what came in.",
        "schedules": "Look at schedules and what is to come; define and force them.",
        "pause": "Stop the calls of a target, a trigger, a source or everything, or the ticks of a schedule.",
        "resume": "Let something go on that was paused.",
        "stats": "How many events came in, how many runs they made, and how these ended.",
        "audit": "Who did what by hand, and why.",
    },
}
"""What there is, by heading. A command `a-b` is `command` in the module `gateway.cli.a_b`."""


@click.group(cls=LazyGroup, sections=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """Turns events into runs of sync endpoints: accepted once, called until done.

    Exit codes: 0 done, 1 the run failed, 2 usage, configuration or an unknown name, 3 timed out waiting, 4 gateway
    unreachable or access refused.
    """
