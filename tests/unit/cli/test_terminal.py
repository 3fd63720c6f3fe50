from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.cli.terminal import heading, show, show_json, table, visible

words = st.text("abcdefgh ", max_size=60).map(lambda text: " ".join(text.split()))


def test_columns_are_flush() -> None:
    lines = table(("name", "n", ""), [("a", "1", "x"), ("long", "100", "y")], right={1})
    assert lines == ["  name    n", "  a       1  x", "  long  100  y"]


def test_the_last_column_wraps_under_itself() -> None:
    lines = table(("k", "text"), [("a", "word " * 40)])
    start = lines[1].index("word")
    assert len(lines) > 2
    assert all(line.startswith(" " * start + "word") for line in lines[2:])
    assert all(len(line) <= 100 for line in lines)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5))
def test_no_word_is_lost(rows: list[tuple[str, str, str]]) -> None:
    shown = "".join("".join(line.split()) for line in table(("a", "b", "c"), rows))
    given_words = "".join("".join(row) for row in rows).replace(" ", "")
    assert sorted(shown) == sorted("abc" + given_words)


@given(st.text(st.characters(codec=None), max_size=80))
def test_nothing_that_is_shown_can_steer_a_terminal(text: str) -> None:
    assert visible(text).isprintable()


@given(st.text(st.characters(codec=None), max_size=80))
def test_nothing_that_is_printed_can_either(text: str) -> None:
    def printed(show_it: Callable[[str], None]) -> str:
        with redirect_stdout(io.StringIO()) as out:
            show_it(text)
        return out.getvalue()

    assert printed(show).replace("\n", "").isprintable()
    assert len(printed(show).split("\n")) == len(text.split("\n")) + 1
    assert printed(show_json).replace("\n", "").isprintable()
    assert json.loads(printed(show_json)) == text


def test_a_heading_stays_bold_and_what_it_quotes_does_not_steer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(heading("Circuit a\x1b[2Jb") + "\n  6 qubits \x9b2J")
    assert capsys.readouterr().out == "\x1b[1mCircuit a\\x1b[2Jb\x1b[0m\n  6 qubits \\x9b2J\n"


def test_plain_text_is_shown_as_it_is_and_the_rest_as_escapes() -> None:
    assert visible("naïve ± text") == "naïve ± text"
    assert visible("a\x1b[31mb\udcff\u202ec") == "a\\x1b[31mb\\udcff\\u202ec"
    assert len(visible("a" * 5000)) < 100
