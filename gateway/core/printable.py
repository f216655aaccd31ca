"""Text from outside in a form that cannot forge a line, move a cursor or turn the direction of reading."""

import re

_LAYOUT = "\n"
_UNSAFE = re.compile(r"[^ -~]")


def one_line(text: str) -> str:
    r"""The text with `\n`, `\x1b`, `\u202e` for what is no visible character or space."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def safe_json(text: str) -> str:
    r"""The same JSON with a `\u` escape for every character that is not printable; line breaks between values stay."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped_json, text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _escaped_json(match: re.Match[str]) -> str:
    character = match[0]
    if character == _LAYOUT or character.isprintable():
        return character
    return "".join(rf"\u{unit:04x}" for unit in _utf16_units(character))


def _utf16_units(character: str) -> list[int]:
    encoded = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]
