"""How calls and answers are shown to people: secret values masked, control characters taken out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from yarl import URL

from gateway.core.secrecy import MASK

_SECRET = re.compile(
    r"authorization|cookie|credential|key|passphrase|password|passwd|secret|signature|token", re.IGNORECASE
)
_ASSIGNED = re.compile(rf"((?:{_SECRET.pattern})[\w-]*[\"']?\s*[=:]).*", re.IGNORECASE | re.DOTALL)
_ACCOUNT = re.compile(r"(?<=://)[^\s/?#@]+(?=@)")
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\ufffd")


def masked(value: Any, name: str = "") -> Any:
    """A JSON-like value, with the values of secret names and the accounts in addresses masked on all levels."""
    if _SECRET.search(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return _ACCOUNT.sub(MASK, value) if isinstance(value, str) else value


def masked_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, with secrets masked: `--token x`, `--token=x`, `-H "Authorization: x"`."""
    before = ("", *arguments[:-1])
    return [_masked_argument(*pair) for pair in zip(before, arguments, strict=True)]


def _masked_argument(before: str, argument: str) -> str:
    if before.startswith("-") and "=" not in before and _SECRET.search(before):
        return MASK
    return masked_text(argument)


def masked_text(text: str) -> str:
    """A text up to the first secret that it gives a name to, with the accounts in its addresses masked."""
    return _ACCOUNT.sub(MASK, _ASSIGNED.sub(rf"\1{MASK}", text))


def masked_url(url: URL) -> str:
    """An address, with the values of secret query parameters masked."""
    if not url.query_string:
        return str(url)
    return str(url.with_query([(name, masked(value, name)) for name, value in url.query.items()]))


def printable(text: str) -> str:
    """A text from outside, without what terminals obey and databases refuse; line breaks and tabs stay."""
    return text.translate(_CONTROL).encode(errors="replace").decode()
