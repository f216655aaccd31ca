"""CloudEvents 1.0: however one is sent, what is made of it is its JSON format, attributes and `data` side by side.

What carries them names its attributes in its own way: HTTP in headers `ce-…`, AMQP in properties `cloudEvents:…`.
"""

import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from gateway.core import strict_json
from gateway.core.errors import TooLarge, Unparseable, UnsupportedEncoding
from gateway.sources.body import MAX_ITEMS, Content, media_type

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_REQUIRED = ("id", "source", "type")
_DATA = ("data", "data_base64")
_ESCAPED = re.compile(r"\\(.)")


def from_http(headers: Mapping[str, str], raw: bytes) -> Content:
    """The event of a request, or the list of those of a batch. `headers` are by lower-case name.

    Raises `Unparseable` for what is none, `UnsupportedEncoding` for formats other than JSON, and `TooLarge`.
    """
    content_type = headers.get("content-type", "")
    match media_type(content_type):
        case "application/cloudevents+json":
            return structured(raw)
        case "application/cloudevents-batch+json":
            return batch(raw)
        case other if other.startswith("application/cloudevents"):
            raise UnsupportedEncoding(f"expected {STRUCTURED} or {BATCH}")
        case _:
            return binary(_attributes(headers), content_type, raw)


def structured(raw: bytes) -> Content:
    """An event in the JSON format. Raises `Unparseable`."""
    given = strict_json.parse(raw)
    document = _checked(given)
    return Content(document, raw) if document is given else Content.of(document)


def batch(raw: bytes) -> Content:
    """The list of the events of a batch. Raises `Unparseable` and `TooLarge`."""
    documents = strict_json.parse(raw)
    if not isinstance(documents, list):
        raise Unparseable("expected a list of CloudEvents")
    if len(documents) > MAX_ITEMS:
        raise TooLarge(f"more than {MAX_ITEMS} events in one batch")
    return Content([_numbered(number, document) for number, document in enumerate(documents)], raw)


def binary(attributes: Mapping[str, Any], content_type: str, raw: bytes) -> Content:
    """An event whose attributes came beside its data. Raises `Unparseable`."""
    if not attributes:
        raise Unparseable(f"no CloudEvent: neither {STRUCTURED}, nor attributes in the headers")
    if forbidden := attributes.keys() & set(_DATA):
        raise Unparseable(f"{min(forbidden)} is no attribute")
    kind = {"datacontenttype": content_type} if content_type else {}
    return Content.of(_checked({**attributes, **kind, **_data(raw, content_type)}))


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    return {name[3:]: _unescaped(name, value) for name, value in headers.items() if name.startswith("ce-")}


def _unescaped(name: str, value: str) -> str:
    """Section 3.1.3.2 of the HTTP binding 1.0.2: first the quotes are undone, then percent-encoding, once."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote(value.encode("utf-8", "surrogateescape").decode(), errors="strict")
    except UnicodeDecodeError as error:
        raise Unparseable(f"{name} is not UTF-8") from error


def _numbered(number: int, document: Any) -> dict[str, Any]:
    try:
        return _checked(document)
    except Unparseable as error:
        raise Unparseable(f"item {number}: {error.detail}") from error


def _checked(document: Any) -> dict[str, Any]:
    """The very document, or one whose `data_base64` is written as `data` where that can be done."""
    if not isinstance(document, dict):
        raise Unparseable(f"expected a CloudEvent, got {type(document).__name__}")
    if document.get("specversion") != "1.0":
        raise Unparseable("expected a CloudEvent of specversion 1.0")
    for name in _REQUIRED:
        if not isinstance(document.get(name), str) or not document[name]:
            raise Unparseable(f"a CloudEvent needs the attribute {name}, a text")
    return document if document.get("data_base64") is None else _with_data(document)


def _with_data(document: dict[str, Any]) -> dict[str, Any]:
    if document.get("data") is not None:
        raise Unparseable("either data or data_base64, not both")
    try:
        raw = a2b_base64(document["data_base64"], strict_mode=True)
    except (ValueError, TypeError) as error:
        raise Unparseable("data_base64 is no base64") from error
    attributes = {name: value for name, value in document.items() if name not in _DATA}
    return attributes | _data(raw, str(document.get("datacontenttype", "")))


def _data(raw: bytes, content_type: str) -> dict[str, Any]:
    """Data as JSON if it says so, else as text if it is one, else in base64."""
    if not raw:
        return {}
    kind = media_type(content_type)
    if kind.endswith(("/json", "+json")):
        return {"data": strict_json.parse(raw)}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"data_base64": b64encode(raw).decode()} if "\0" in text else {"data": text}
