"""The ways in which a source verifies who calls it, by the `scheme:` of its `verify:` section."""

from typing import Annotated

from pydantic import Field

from gateway.sources.credentials import Basic, Token, Trusting
from gateway.sources.signatures import Hmac, StandardWebhooks

Verify = Annotated[Hmac | StandardWebhooks | Token | Basic | Trusting, Field(discriminator="scheme")]
