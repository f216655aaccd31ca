"""A request, rendered for a run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from gateway.core import strict_json
from gateway.core.errors import TemplateError
from gateway.core.template import Template
from gateway.targets import url as addresses
from gateway.targets.display import masked, masked_text, masked_url
from gateway.targets.request import Request, check_header_value

_SENDS_PAYLOAD = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The body of a call: its bytes, or `None` for the run's payload as it is stored; `value` is for people."""

    data: bytes | None
    media_type: str | None = None
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """What will be sent, but for the headers that name the attempt."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    content: Content

    @property
    def named(self) -> str:
        """Short, for the log; secrets masked."""
        return f"{self.method} {masked_url(self.url)}"

    @property
    def shown(self) -> Mapping[str, Any]:
        body = self.content.value
        return {
            "method": self.method,
            "url": masked_url(self.url),
            "headers": masked(dict(self.headers)),
            "body": masked_text(body) if isinstance(body, str) else masked(body),
        }


class Renderer:
    """Makes calls of one request; what is constant in it is made once."""

    def __init__(self, request: Request) -> None:
        self._request = request
        source, credentials = addresses.take_credentials(str(request.url.source))
        self._url = Template(source)
        self._constant_url = addresses.parse(source) if self._url.constant else None
        self._constant_headers = CIMultiDict({hdrs.AUTHORIZATION: credentials} if credentials else {})
        self._headers: dict[str, Template] = {}
        for name, template in request.headers.items():
            if template.constant:
                self._constant_headers[name] = template.text({})
            else:
                self._headers[name] = template

    def render(self, context: Mapping[str, Any]) -> HttpCall:
        """Raises `TemplateError` where a template fails, or makes of its data what cannot be sent."""
        content = self._render_content(context)
        return HttpCall(
            method=self._request.method,
            url=self._constant_url or self._render_url(context),
            headers=self._render_headers(context, content.media_type),
            content=content,
        )

    def _render_url(self, context: Mapping[str, Any]) -> URL:
        with _named("url"):
            return addresses.parse(self._url.text(context))

    def _render_headers(self, context: Mapping[str, Any], media_type: str | None) -> CIMultiDict[str]:
        headers = self._constant_headers.copy()
        for name, template in self._headers.items():
            with _named(f"header {name}"):
                headers[name] = template.text(context)
                check_header_value(headers[name])
        if media_type:
            headers.setdefault(hdrs.CONTENT_TYPE, media_type)
        return headers

    def _render_content(self, context: Mapping[str, Any]) -> Content:
        request = self._request
        if request.json_body is not None:
            with _named("json"):
                value = request.json_body.render(context)
                return Content(data=strict_json.dump(value), media_type="application/json", value=value)
        if request.form is not None:
            with _named("form"):
                value = request.form.render(context)
                return Content(data=_form(value), media_type="application/x-www-form-urlencoded", value=value)
        if request.body is not None:
            with _named("body"):
                text = request.body.text(context)
                return Content(data=text.encode(), media_type="text/plain; charset=utf-8", value=text)
        if request.sends_payload and request.method in _SENDS_PAYLOAD:
            return Content(data=None, media_type="application/json", value=context.get("payload"))
        return Content(data=b"")


@contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except (TemplateError, ValueError, TypeError) as error:
        raise TemplateError(f"{place}: {error}") from error


def _form(fields: Mapping[str, Any]) -> bytes:
    """A list repeats its field."""
    pairs = [
        (name, _form_text(item))
        for name, value in fields.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs).encode()


def _form_text(value: Any) -> str:
    """A text as it is, nothing as the empty text, anything else as JSON."""
    return value if isinstance(value, str) else "" if value is None else strict_json.dump(value).decode()
