"""How something that happened becomes an `Event`: one module for each kind of source.

What lives here knows no web framework, no database and no trigger.
"""

from gateway.sources import base, webhook

KINDS: dict[str, type[base.Settings]] = {"webhook": webhook.Settings}
"""The settings of each kind, by the `kind:` of the configuration."""
