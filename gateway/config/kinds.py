"""The sections whose entries are of one kind or another, told by their key `kind`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class OneOf:
    """Annotates a field whose value is of the model that `kinds` has for its `kind`."""

    kinds: Mapping[str, type[BaseModel]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(model) for kind, model in self.kinds.items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")
