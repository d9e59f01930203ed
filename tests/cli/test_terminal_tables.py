"""Tables on terminals of every width, in every encoding and style."""

import io
import os
import sys
from collections.abc import Callable

import pytest

from zipllm.cli import tables
from zipllm.cli.tables import BOLD, Styled, aligned, new_table, note, print_described, print_parts

HEADS = ("file", "bytes", "bits per byte")
ROWS = (("a-name.txt", "1,234", Styled("0.123", BOLD)), ("学而时习之.txt", "5", "8.000"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Print parts on a terminal of some width (None: a pipe) and return the lines."""

    def show(width: int | None, *parts: tables.Table | tables.Cell, encoding: str = "utf-8") -> list[str]:
        sink = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink, encoding, "strict", write_through=True))
        monkeypatch.setattr(tables, "_width", lambda: width)
        print_parts(parts)
        return sink.getvalue().decode(encoding).splitlines()

    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return show


def test_columns_line_up_in_cells_of_the_terminal(shown: Callable[..., list[str]]) -> None:
    assert shown(80, new_table("title", HEADS, ROWS)) == [
        "title",
        "file           bytes bits per byte",
        "─" * 34,
        "a-name.txt     1,234         0.123",
        "学而时习之.txt     5         8.000",
        "",
    ]


@pytest.mark.parametrize("width", [24, 33, 40, 60, None])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_broken(
    shown: Callable[..., list[str]], width: int | None
) -> None:
    lines = shown(width, new_table("title", HEADS, ROWS, ("all 2 files", "1,239", "0.155")), note("words " * 30))
    assert all(width is None or tables._size(line) <= width for line in lines)
    text = "\n".join(lines)
    assert all(number in text for number in ("1,234", "0.123", "8.000", "1,239"))
    assert all(word == "words" for word in lines[-1].split())


def test_a_narrow_terminal_gets_lists(shown: Callable[..., list[str]]) -> None:
    assert shown(20, new_table("title", HEADS, ROWS[:1])) == [
        "title", "a-name.txt", "  bytes          1,234", "  bits per byte  0.123", ""
    ]  # fmt: skip


def test_long_names_are_folded(shown: Callable[..., list[str]]) -> None:
    lines = shown(40, new_table("title", ("file", "n"), [("a" * 50, "1")], ("all", "1")))
    assert lines[3:5] == ["a" * 38 + " 1", "a" * 12]


def test_an_encoding_without_rules(shown: Callable[..., list[str]]) -> None:
    lines = shown(80, new_table("†", HEADS, ROWS), encoding="ascii")
    assert lines[2] == "-" * len(lines[1])
    assert len({len(line) for line in lines[1:5]}) == 1


def test_styles(shown: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m0.123\x1b[0m" in shown(80, new_table("title", HEADS, ROWS))[3]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(shown(80, new_table("title", HEADS, ROWS), note("words")))


def test_names_cannot_draw(shown: Callable[..., list[str]]) -> None:
    name = os.fsdecode(b"\x1b[31m\xff\n")
    assert r"\x1b[31m\xff\n 1" in shown(80, new_table(name, ("file", "n"), [(name, "1")]))


@pytest.mark.parametrize("width", [24, 40, 59, 60, 100, None])
def test_names_with_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int | None
) -> None:
    """Beside the names where there is room, else below; every word stays whole."""
    monkeypatch.setattr(tables, "_width", lambda: width)
    texts = {"long name": ("words " * 20, "more"), "short": ("one", "two")}
    print_described(texts)
    lines = capsys.readouterr().out.splitlines()
    below = width is not None and width < 51
    assert "\n".join(lines).endswith("\nshort\n  one\n  two" if below else "\nshort      one\n           two")
    assert all(width is None or len(line) <= width for line in lines)
    assert "\n".join(lines).split() == " ".join(f"{name} {' '.join(text)}" for name, text in texts.items()).split()


@pytest.mark.parametrize(("width", "listed"), [(None, False), (80, False), (40, True)])
def test_plain_tables(shown: Callable[..., list[str]], width: int | None, listed: bool) -> None:
    shown(width, "")
    lines = aligned(("Blocks", "Compressed", "Check", "Name"), [("1", "4.96 KiB", "SHA-256", "n" * 70)], left=("Name",))
    assert len(lines) == (4 if listed else 2)
    assert lines[0] == ("n" * 70 if listed else "Blocks  Compressed    Check  Name")
