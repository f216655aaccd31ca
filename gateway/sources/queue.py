"""Queues of AMQP as they are configured."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from gateway.sources import base
from gateway.sources.message import Kind, MessageTemplates, Reader

MAX_NAME = 200  # of 255 bytes that AMQP allows; the queue of its dead letters has a longer name


class Binding(BaseModel):
    """What the queue receives; the exchange belongs to whoever publishes there, and must exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchange: str = Field(min_length=1, max_length=MAX_NAME, description="Its name.")
    routing_key: str = Field("", max_length=MAX_NAME, description="With the wildcards * and # on a topic exchange.")


def _check_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ValueError("expected amqp://USER:PASSWORD@HOST/VHOST, or amqps://")
    return url


class Settings(base.Settings):
    """A source that consumes a queue of RabbitMQ."""

    kind: Literal["amqp"]
    url: Annotated[SecretStr, AfterValidator(_check_address)] = Field(
        description="amqp:// or amqps://, with account and virtual host; sources with the same share a connection."
    )
    queue: str = Field(min_length=1, max_length=MAX_NAME, description="Its name.")
    declare_: bool = Field(True, alias="declare", description="As a durable quorum queue; false uses it as it is.")
    bindings: tuple[Binding, ...] = Field((), description="What it receives from where.")
    prefetch: int = Field(200, ge=1, le=1000, description="Messages that may be on their way into the database.")
    single_active_consumer: bool = Field(False, description="Only one node consumes, the others wait.")
    body: Kind = Field("json", description="How messages are read.")
    event: MessageTemplates = MessageTemplates()
    headers: tuple[str, ...] = Field((), description="Headers of the message that are kept with the event.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.declare_ and (self.bindings or self.single_active_consumer):
            raise ValueError("bindings and single_active_consumer go with a queue that is declared")
        return self


class QueueSource:
    """One configured queue."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.reader = Reader(name, settings.event, settings.body, settings.headers, settings.dedup)
