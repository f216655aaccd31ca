"""How something that happened becomes an `Event`: one module for each kind of source.

What lives here knows no web framework, no database and no trigger.
"""

from typing import cast

from gateway.sources import base, queue, webhook

KINDS: dict[str, type[base.Settings]] = {"webhook": webhook.Settings, "amqp": queue.Settings}
"""The settings of each kind, by the `kind:` of the configuration."""

Source = webhook.WebhookSource | queue.QueueSource


def configured(name: str, settings: base.Settings) -> Source:
    """The source that a section of the configuration describes."""
    if isinstance(settings, queue.Settings):
        return queue.QueueSource(name, settings)
    return webhook.WebhookSource(name, cast("webhook.Settings", settings))
