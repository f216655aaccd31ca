"""A route of the API: there is none without a role. What it says of itself is also the API's description."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web
from pydantic import BaseModel

from gateway.core.access import Role
from gateway.core.errors import Rejected
from gateway.web.parameters import Model

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Media:
    """What is answered that is no JSON, by its content types."""

    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked, who may ask it, who answers, what may come along, and what comes back.

    `replies` are the types of the documents by status, or `Media`, or `None` where there is no body. `refuses` are the
    refusals that do not follow from the rest.
    """

    method: str
    path: str
    role: Role
    handler: Handler
    query: type[Model] | None = None
    body: type[BaseModel] | None = None
    headers: type[Model] | None = None
    replies: Mapping[int, Any] = field(default_factory=dict)
    refuses: tuple[type[Rejected], ...] = ()

    @property
    def acts(self) -> bool:
        """Whether it changes anything, and so leaves a row in the audit trail."""
        return self.method != hdrs.METH_GET and self.role is not Role.VIEWER
