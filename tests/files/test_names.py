"""Printing names safely; adding and taking off the suffix."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.errors import UsageError
from zipllm.files.names import PathError, add_suffix, check_suffix, escape_name, has_suffix, means_stdin, strip_suffix

ESCAPED = {
    "plain.txt": "plain.txt",
    "with space": "with space",
    "größe 数据 🙂": "größe 数据 🙂",
    "[b]bold[/red]": "[b]bold[/red]",
    "back\\slash": "back\\slash",
    "line\nbreak": "line\\nbreak",
    "tab\tcr\r": "tab\\tcr\\r",
    "\x1b[31mred\x07": "\\x1b[31mred\\x07",
    "\x7f\x9b31m": "\\x7f\\x9b31m",
    "raw\udcff\udc80": "raw\\xff\\x80",
    "lone\ud800": "lone\\ud800",
    "right\u202eleft": "right\\u202eleft",
    "zero\u200bwidth": "zero\\u200bwidth",
    "line\u2028separator": "line\\u2028separator",
}


@pytest.mark.parametrize(("name", "shown"), ESCAPED.items(), ids=map(ascii, ESCAPED))
def test_escaping(name: str, shown: str) -> None:
    assert escape_name(name) == shown


@given(st.binary(max_size=40))
def test_escaped_names_are_one_printable_line_and_escaping_twice_changes_nothing(raw: bytes) -> None:
    shown = escape_name(os.fsdecode(raw))
    assert shown.isprintable()
    assert escape_name(shown) == shown
    shown.encode("utf-8")  # can be written to a terminal


def test_error_names_reason_and_hint() -> None:
    error = PathError("a\nb", "is odd", "try -x")
    assert str(error) == "a\\nb: is odd (try -x)"
    assert error.exit_code == 1
    assert str(PathError("", "is odd")) == "'': is odd"
    assert str(PathError.from_os("x", FileNotFoundError(2, "No such file or directory"))) == (
        "x: No such file or directory"
    )
    assert str(PathError.from_os("x", OSError("bare words"))) == "x: bare words"


def test_adding_the_suffix() -> None:
    assert add_suffix("dir/a.txt", ".zllm") == "dir/a.txt.zllm"
    assert add_suffix(".zllm", ".zllm") == ".zllm.zllm"
    assert add_suffix("a.zllm", ".other") == "a.zllm.other"


def test_adding_the_suffix_twice_needs_force() -> None:
    with pytest.raises(PathError, match=r"^a\.zllm: already has the suffix \.zllm, skipped"):
        add_suffix("a.zllm", ".zllm")
    assert add_suffix("a.zllm", ".zllm", force=True) == "a.zllm.zllm"


def test_taking_the_suffix_off() -> None:
    assert strip_suffix("dir.zllm/a.txt.zllm", ".zllm") == "dir.zllm/a.txt"
    assert strip_suffix("a-z", "-z") == "a"


@pytest.mark.parametrize("name", ["a", "a.ZLLM", "a.zllm.gz", ".zllm", "dir/.zllm", "dir.zllm/a", "a.zllm/", ""])
def test_unknown_suffix(name: str) -> None:
    assert not has_suffix(name, ".zllm")
    with pytest.raises(PathError, match="unknown suffix"):
        strip_suffix(name, ".zllm")


@pytest.mark.parametrize("suffix", ["", "/", "a/b", "a\0b"])
def test_impossible_suffixes(suffix: str) -> None:
    with pytest.raises(UsageError, match="suffix"):
        check_suffix(suffix)


@pytest.mark.parametrize("name", ["./-", "/-", "--", "", " -", "-/"])
def test_only_a_dash_is_standard_input(name: str) -> None:
    assert means_stdin("-")
    assert not means_stdin(name)


def test_possible_suffixes() -> None:
    assert check_suffix("-z") == "-z"
