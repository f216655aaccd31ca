"""An HTTP request as a webhook sees it, free of any web framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from gateway.sources import cloudevents
from gateway.sources.body import Content, parse

BodyKind = Literal["json", "form", "text", "cloudevents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One request: `raw` is its body with the content encoding undone, `remote` the address of the sender."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes
    remote: str


@dataclass(frozen=True, kw_only=True)
class Received:
    """What verification and templates look at: `headers` by lower-case name, and the body in all its forms."""

    headers: Mapping[str, str]
    raw: bytes
    now: datetime
    query: Mapping[str, str]
    kind: BodyKind = "json"
    form_field: str | None = None

    @cached_property
    def content(self) -> Content:
        """The parsed body; a list where it is a batch of CloudEvents. Raises `Unparseable` and its kin."""
        if self.kind == "cloudevents":
            return cloudevents.from_http(self.headers, self.raw)
        return parse(self.raw, self.kind, self.headers.get("content-type", ""), self.form_field)

    @cached_property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 travel as surrogates, so that none is lost."""
        return self.raw.decode("utf-8", "surrogateescape")


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by lower-case name. Of several with one name the last counts, for all readers alike."""
    return {name.lower(): value for name, value in headers.items()}
