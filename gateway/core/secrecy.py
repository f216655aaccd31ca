"""Values that are shown to nobody: what a configuration keeps secret, wherever it turns up again."""

import re
from collections.abc import Iterable
from urllib.parse import quote

import orjson

MASK = "***"
SHORTEST_SECRET = 4
PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):([^\s/?#]*)(?=@)")
"""Account and password in an address."""


class _Hidden:
    """The secret values known so far."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        for value in values:
            parts = (value, *(password for _, password in PASSWORD.findall(value)))
            self._forms.update(form for part in parts if len(part) >= SHORTEST_SECRET for form in _forms(part))
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def mask(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


_hidden = _Hidden()


def hide(values: Iterable[str]) -> None:
    """From now on these are shown as `***` wherever they appear, the passwords in URLs among them on their own too.

    Anything shorter than four characters is not: too much else would vanish.
    """
    _hidden.add(values)


def masked(text: str) -> str:
    """The text without any value that was given to `hide`."""
    return _hidden.mask(text)


def _forms(secret: str) -> set[str]:
    """A secret as it is, and as it looks in a URL, in a Python literal and in JSON."""
    return {secret, quote(secret, safe="", errors="surrogateescape"), repr(secret)[1:-1], _json_form(secret)}


def _json_form(secret: str) -> str:
    return orjson.dumps(secret.encode(errors="replace").decode()).decode()[1:-1]
