"""What people see on a terminal: nothing in it is markup, and nothing is squeezed."""

import io

import pytest

from gateway.cli import display

ROWS = [{"id": "0199", "reason": "[red]x[/red] [link=http://evil]y[/] \x1b[2J\n\u202e", "state": "failed"}]


def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal with 80 columns."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    return terminal


def test_s10_markup_and_escapes_are_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    display.print_rows(("id", "state", "reason"), ROWS)

    lines = terminal.getvalue().splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert r"[red]x[/red] [link=http://evil]y[/] \x1b[2J\n\u202e" in terminal.getvalue()


def test_a_terminal_that_is_too_narrow_breaks_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    run = {"id": "0" * 36, "state": "succeeded", "target": "t" * 36, "created_at": "2027-01-15T22:00:00.123456Z"}
    display.print_rows(tuple(run), [run])

    assert f" {'0' * 36}   succeeded   {'t' * 36}   2027-01-15T22:00:00Z " in terminal.getvalue().splitlines()


def test_a_table_has_no_column_in_which_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    display.print_rows(("id", "key", "events"), [{"id": "a", "key": None, "events": 0}, {"id": "b", "key": ""}])

    assert terminal.getvalue().split()[:2] == ["id", "events"]


def test_the_end_of_a_long_text_goes_to_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    display.print_rows(("id", "reason"), [{"id": "a", "reason": "refused " * 30}])

    assert max(map(len, terminal.getvalue().splitlines())) == 80
    assert terminal.getvalue().count("refused") == 30


def test_fields_without_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    display.print_fields({"id": "0199", "key": None, "events": 0, "ok": False, "payload": {"a": "\u202e"}, "ids": []})

    assert capsys.readouterr().out.splitlines() == [
        "id       0199",
        "events   0",
        "ok       no",
        r'payload  {"a":"\u202e"}',
    ]
