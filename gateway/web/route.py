"""A route of the API: there is none without a role."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel

from gateway.core.access import Role
from gateway.web.parameters import Model

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked, who may ask it, who answers, and what may come along."""

    method: str
    path: str
    role: Role
    handler: Handler
    query: type[Model] | None = None
    body: type[BaseModel] | None = None
