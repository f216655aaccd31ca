"""JSON schemas of models, with values as people write them."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from gateway.core.duration import format_duration


class JsonSchema(GenerateJsonSchema):
    """As pydantic has it, but for the durations among the defaults: it would write them in another notation."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)
