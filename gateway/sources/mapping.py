"""What an event says, from the templates of the `event:` section."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.core import strict_json
from gateway.core.compiling import Context
from gateway.core.errors import TemplateError, Unmappable, Unparseable
from gateway.core.template import Record, Template, sees

MAX_NAME = 500
SEEN = ("body", "headers", "query", "raw", "item")
Seen = Annotated[Template, sees(*SEEN)]
Reader = Callable[[Context], dict[str, Any]]
_ABSENT = Template(None)


class EventTemplates(BaseModel):
    """Templates over `body`, `headers` (by lower-case name), `query`, `raw` (as text), and the `item` of a split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Seen = Field(_ABSENT, description="The sender's; an event without one is not deduplicated.")
    type: Seen = Field(Template("webhook"), description="What triggers match with their globs.")
    subject: Seen = Field(_ABSENT, description="What it is about, for people.")
    object: Seen = Field(_ABSENT, description="The thing it is about, as data.")
    time: Seen = Field(_ABSENT, description="RFC 3339, or seconds since 1970; default: when it was received.")
    changed: Seen = Field(_ABSENT, description="A list of the names of changed fields.")

    @property
    def names(self) -> frozenset[str]:
        """All that is used in any of them."""
        return frozenset[str]().union(*(getattr(self, name).names for name in type(self).model_fields))

    def compiled(self) -> Reader:
        """What reads each of these, `None` where it is absent. It raises `Unmappable`, naming the template."""
        record = Record({name: getattr(self, name) for name in type(self).model_fields})

        def read(context: Context) -> dict[str, Any]:
            try:
                values = record.render(context)
            except TemplateError as error:
                raise Unmappable(f"event.{error}") from error
            return {name: _read(name, value) for name, value in values.items()}

        return read


def _read(name: str, value: Any) -> Any:
    try:
        return _READERS[name](value)
    except (ValueError, OverflowError, OSError, Unparseable) as error:
        raise Unmappable(f"event.{name}: {error}") from error


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise ValueError(f"expected a text, got {type(value).__name__}")  # noqa: TRY004 - as the other readers
    text = str(value)
    strict_json.dump_strict(text)
    return text if text.strip() else None


def _name(value: Any) -> str | None:
    text = _text(value)
    if text and len(text) > MAX_NAME:
        raise ValueError(f"longer than {MAX_NAME} characters")
    return text


def _type(value: Any) -> str:
    text = _name(value)
    if text is None:
        raise ValueError("is empty")
    return text


def _object(value: Any) -> Any:
    strict_json.dump_strict(value)
    return value


def _time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _changed(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list of names, got {type(value).__name__}")  # noqa: TRY004 - as the other readers
    return tuple(text for text in map(_text, value) if text)


_READERS = {"id": _name, "type": _type, "subject": _text, "object": _object, "time": _time, "changed": _changed}
