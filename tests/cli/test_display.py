"""Tables on a terminal: nothing in them is markup."""

import io

import pytest

from gateway.cli import display

ROWS = [{"id": "0199", "reason": "[red]x[/red] [link=http://evil]y[/] \x1b[2J\n\u202e", "state": "failed"}]


def test_s10_markup_and_escapes_are_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    display.print_rows(("id", "state", "reason"), ROWS)

    lines = terminal.getvalue().splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert r"[red]x[/red] [link=http://evil]y[/] \x1b[2J\n\u202e" in terminal.getvalue()


def test_fields_without_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    display.print_fields({"id": "0199", "key": None, "events": 0, "ok": False, "payload": {"a": "\u202e"}, "ids": []})

    assert capsys.readouterr().out.splitlines() == [
        "id       0199",
        "events   0",
        "ok       no",
        r'payload  {"a":"\u202e"}',
    ]
