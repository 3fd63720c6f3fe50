from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantumai.cli.terminal import table, visible

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


def test_plain_text_is_shown_as_it_is_and_the_rest_as_escapes() -> None:
    assert visible("naïve ± text") == "naïve ± text"
    assert visible("a\x1b[31mb\udcff\u202ec") == "a\\x1b[31mb\\udcff\\u202ec"
    assert len(visible("a" * 5000)) < 100
