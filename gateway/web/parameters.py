"""From queries and bodies of the API to values: models say what is expected, and all that is wrong is said at once."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from aiohttp import web
from multidict import MultiDict, MultiMapping
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.core import strict_json
from gateway.core.duration import DurationText, parse_duration
from gateway.core.errors import Invalid
from gateway.core.ids import is_id
from gateway.core.plan import MAX_KEY
from gateway.core.wording import wrong_fields
from gateway.store.acts import present_act
from gateway.web.body import read
from gateway.web.problems import NotJson

MAX_LIMIT = 1000
MAX_REASON = 1000
M = TypeVar("M", bound=BaseModel)


class Model(BaseModel):
    """What a query or a body may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def such_as(**example: Any) -> ConfigDict:
    """Has the description of a body show an example."""
    return ConfigDict(json_schema_extra={"examples": [example]})


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z")  # noqa: TRY004 - pydantic wants it so
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expected a time such as 2026-01-31T12:00:00Z, got {value!r:.60}")


def _instant_or_age(value: Any) -> datetime | timedelta:
    if isinstance(value, str):
        for read in (parse_duration, _instant):
            with suppress(ValueError):
                return read(value)
    raise ValueError(f"expected a time such as 2026-01-31T12:00:00Z, or an age such as 2h, got {value!r:.60}")


def _cursor(value: str) -> str:
    if not is_id(value):
        raise ValueError("expected what `next` of the page before says")
    return value.lower()


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


Instant = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
InstantOrAge = Annotated[
    datetime | timedelta, BeforeValidator(_instant_or_age, json_schema_input_type=datetime | DurationText)
]
"""A time, or how long ago it was."""
Cursor = Annotated[str, AfterValidator(_cursor), Field(json_schema_extra={"format": "uuid"})]
Name = Annotated[str, Field(min_length=1, max_length=MAX_KEY)]
Key = Annotated[Name, AfterValidator(_not_blank)]
Reason = Annotated[str, Field(max_length=MAX_REASON)]


class Acting(Model):
    """What people may say of whatever they do."""

    model_config = such_as(reason="asked for by the network team")

    reason: Reason | None = Field(None, description="Kept in the audit trail.")


class Page(Model):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Cursor | None = Field(None, description="What `next` of the page before says.")


class History(Page):
    """Which page of what happened, and when it happened; other fields filter by what is equal."""

    since: InstantOrAge | None = None
    until: InstantOrAge | None = None

    def filters(self, now: datetime) -> dict[str, Any]:
        """All but the page; ages become times."""
        names = type(self).model_fields.keys() - Page.model_fields.keys()
        return {name: in_time(getattr(self, name), now) for name in names}


def in_time(value: Any, now: datetime) -> Any:
    """An age becomes a time."""
    return now - value if isinstance(value, timedelta) else value


def parse_query(request: web.Request, model: type[M]) -> M:
    """The parameters in the address. Raises `Invalid`."""
    return _single(model, request.query, "query")


def parse_headers(request: web.Request, model: type[M]) -> M:
    """Those headers that the model knows. Raises `Invalid`."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    given = ((name, value) for name in known for value in request.headers.getall(name, ()))
    return _single(model, MultiDict(given), "headers")


async def parse_body(request: web.Request, model: type[M]) -> M:
    """The body; none is the same as an empty object. Raises `Invalid`, `NotJson` or what reading it may raise."""
    return _validated(model, await parse_object(request), "body")


async def parse_object(request: web.Request) -> dict[str, Any]:
    """The body as it is, for somebody else to judge; raises the same for one that is no object."""
    raw = await read(request)
    if raw and request.content_type != "application/json":
        raise NotJson("expected Content-Type: application/json")
    value = strict_json.parse(raw) if raw else {}
    if not isinstance(value, dict):
        raise Invalid("expected a JSON object", errors={"": f"expected an object, got {type(value).__name__}"})
    if act := present_act():
        act.hear(value)
    return value


def _single(model: type[M], given: MultiMapping[str], what: str) -> M:
    errors = {name: "is given more than once" for name in given if len(given.getall(name)) > 1}
    errors |= {name: "holds characters that nothing here has" for name, value in given.items() if not _is_text(value)}
    if errors:
        raise Invalid(f"the {what} is not as expected", errors=errors)
    return _validated(model, dict(given), what)


def _validated(model: type[M], value: dict[str, Any], what: str) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(f"the {what} is not as expected", errors=wrong_fields(error)) from error


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
