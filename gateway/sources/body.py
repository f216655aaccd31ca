"""From the bytes of a body to data: content encodings, then JSON, forms and texts, all within bounds."""

import zlib
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from gateway.core import strict_json
from gateway.core.errors import TooLarge, Unparseable, UnsupportedEncoding

Kind = Literal["json", "form", "text"]
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000
MAX_ITEMS = 1000
"""The events that one request may bring."""
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8


@dataclass(frozen=True, slots=True)
class Content:
    """What a body says; `text` is the JSON text of `data`."""

    data: Any
    text: bytes

    @classmethod
    def of(cls, data: Any) -> "Content":
        """What says `data`. Raises `Unparseable` for what cannot be stored."""
        return cls(data, strict_json.dump_strict(data))

    def without(self, field: str) -> "Content":
        """The same without one field of the top level."""
        if not isinstance(self.data, dict) or field not in self.data:
            return self
        data = {name: value for name, value in self.data.items() if name != field}
        return Content.of(data)


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def decode(raw: bytes, encoding: str | None, limit: int) -> bytes:
    """The body with its `Content-Encoding` undone, which is never longer than `limit` bytes.

    Raises `TooLarge` (having inflated no more than that), `UnsupportedEncoding` for anything but one of gzip and
    deflate, and `Unparseable` for a broken stream.
    """
    match (encoding or "identity").strip().lower():
        case "identity":
            decoded = raw
        case "gzip" | "x-gzip":
            decoded = _inflate(raw, _GZIP, limit)
        case "deflate":
            decoded = _inflate(raw, _deflate_window(raw), limit)
        case _:
            raise UnsupportedEncoding("expected a body without Content-Encoding, or with gzip or deflate")
    if len(decoded) > limit:
        raise TooLarge(f"the body has more than {limit} bytes")
    return decoded


def parse(raw: bytes, kind: Kind, content_type: str = "", json_field: str | None = None) -> Content:
    """What a body of that kind says. Raises `Unparseable`.

    `json_field` is the field that holds the JSON where a form was sent in place of it.
    """
    if kind == "json" and json_field and media_type(content_type) == FORM:
        raw = _json_in_form(raw, json_field)
    if kind == "json":
        return Content(strict_json.parse(raw), raw)
    return Content.of(_form(raw) if kind == "form" else _text(raw))


def _inflate(raw: bytes, window: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        inflated = stream.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Unparseable("the compressed body is broken") from error
    if len(inflated) <= limit and (not stream.eof or stream.unused_data):
        raise Unparseable("the compressed body is cut off, or something follows it")
    return inflated


def _deflate_window(raw: bytes) -> int:
    """Deflate means the zlib format (RFC 9110, section 8.4.1.2); some send the bare stream, which begins otherwise."""
    return zlib.MAX_WBITS if raw[:1] and raw[0] & 0x0F == _ZLIB_METHOD else -zlib.MAX_WBITS


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Unparseable(f"not UTF-8: {error.reason} at byte {error.start}") from error


def _form(raw: bytes) -> dict[str, Any]:
    """The fields by name; those that occur several times as lists."""
    try:
        fields = parse_qsl(_text(raw), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Unparseable(f"not a form: {error}") from error
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


def _json_in_form(raw: bytes, field: str) -> bytes:
    value = _form(raw).get(field)
    if not isinstance(value, str):
        raise Unparseable(f"expected a form with one field {field}")
    return value.encode()
