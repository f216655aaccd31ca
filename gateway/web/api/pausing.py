"""What people say when they pause something, and when they resume it."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from gateway.core.duration import Duration
from gateway.web.parameters import Model, Reason


class Pausing(Model):
    lasting: Annotated[Duration, Field(gt=timedelta(0))] | None = Field(None, alias="for")
    reason: Reason | None = None


class Resuming(Model):
    pass
