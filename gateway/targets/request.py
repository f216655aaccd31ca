"""A request as it is configured."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from gateway.core.template import Template, Tree, sees
from gateway.targets import url as addresses

SEEN = ("event", "events", "payload", "run")

_FRAMING = {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}


def check_url(template: Template) -> Template:
    """Raises `ValueError` for an address that can never be called."""
    source, _ = addresses.take_credentials(str(template.source))
    if template.constant:
        addresses.parse(source)
    return template


def _check_header_name(name: str) -> str:
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} belongs to the connection and cannot be set")
    return name


def check_header(template: Template) -> Template:
    """Raises `ValueError` for a value that can never be sent."""
    if template.constant:
        check_header_value(str(template.source))
    return template


def check_form(form: Tree) -> Tree:
    """Raises `ValueError` for what are no fields."""
    if not isinstance(form.source, Mapping):
        raise ValueError("expected fields with their values")  # noqa: TRY004 - pydantic reports ValueError
    return form


Method = Annotated[
    Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    BeforeValidator(lambda name: name.upper() if isinstance(name, str) else name),
]
RequestTemplate = Annotated[Template, sees(*SEEN)]
RequestTree = Annotated[Tree, sees(*SEEN)]
HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$"), AfterValidator(_check_header_name)
]
HeaderValue = Annotated[RequestTemplate, AfterValidator(check_header)]


class Request(BaseModel):
    """What is sent, and where to; with no body configured, POST, PUT and PATCH send the run's payload as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sends_payload: ClassVar[bool] = True

    method: Method = Field("POST", description="Of the request.")
    url: Annotated[RequestTemplate, AfterValidator(check_url)] = Field(
        description="Where it goes: http:// or https://."
    )
    headers: dict[HeaderName, HeaderValue] = Field({}, description="Sent beside the gateway's own.")
    json_body: RequestTree | None = Field(None, alias="json", description="Body: any value, as JSON.")
    form: Annotated[RequestTree, AfterValidator(check_form)] | None = Field(None, description="Body: an HTML form.")
    body: RequestTemplate | None = Field(None, description="Body: this text.")

    @model_validator(mode="after")
    def _check_one_body(self) -> Self:
        if sum(body is not None for body in (self.json_body, self.form, self.body)) > 1:
            raise ValueError("expected only one of json, form and body")
        return self

    @property
    def templates(self) -> list[Template | Tree]:
        """All that is rendered for a call."""
        bodies = (self.json_body, self.form, self.body)
        return [self.url, *self.headers.values(), *(body for body in bodies if body is not None)]


def check_header_value(value: str) -> None:
    """Raises `ValueError` for a value that would break out of its header."""
    value.encode()
    if any(mark in value for mark in "\r\n\0"):
        raise ValueError("a line break or NUL in its value")
