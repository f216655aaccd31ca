"""The few exceptions that decide something: refuse, retry later, or name a broken template."""

from collections.abc import Sequence


class Rejected(Exception):  # noqa: N818 - the word of the interface
    """Something was handed in that is not accepted; nothing was stored.

    `status` is the HTTP status the edge answers with. `retry_after` (seconds) is set where trying again can help.
    `errors` maps the path of a field to what is wrong with it.
    """

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, *, retry_after: float | None = None, errors: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.errors = errors or {}


class Unparseable(Rejected):
    title = "Unparseable body"


class Unverified(Rejected):
    status = 401
    title = "Not verified"


class Forbidden(Rejected):
    status = 403
    title = "Forbidden"


class NotFound(Rejected):
    status = 404
    title = "Not found"


class MethodNotAllowed(Rejected):
    """`allowed` goes into the `Allow` header."""

    status = 405
    title = "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"expected {' or '.join(allowed)}")
        self.allowed = allowed


class Conflict(Rejected):
    status = 409
    title = "Conflict"


class TooLarge(Rejected):
    status = 413
    title = "Too large"


class UnsupportedEncoding(Rejected):
    status = 415
    title = "Unsupported encoding"


class Unmappable(Rejected):
    status = 422
    title = "Cannot be mapped"


class Invalid(Rejected):
    """Well-formed, but not what is expected; `errors` says which field."""

    status = 422
    title = "Invalid"


class TooMany(Rejected):
    status = 429
    title = "Too many requests"


class Unavailable(Rejected):
    """The store cannot commit now, or too much is waiting for it."""

    status = 503
    title = "Unavailable"


class TemplateError(Exception):
    """A template or expression failed to render; the message says which name or operation."""


class IllegalTransition(Exception):  # noqa: N818 - the name says what is wrong
    """A run was asked to go where the state table has no way to."""
