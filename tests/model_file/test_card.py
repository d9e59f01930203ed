"""Cards: bounded, strict to read, and harmless to show."""

from dataclasses import replace
from typing import Any

import pytest

from tests.model_file.conftest import CARD, CONFIG
from zipllm.errors import ModelInvalid
from zipllm.model_file.card import Card, DataSource, DomainResult, card_from_dict, render_card
from zipllm.model_file.limits import MAX_CARD_BYTES


def page(card: Card) -> str:
    return render_card(card, CONFIG, bytes(range(32)), 12_345)


def test_survives_its_json_form() -> None:
    assert card_from_dict(CARD.to_dict()) == CARD
    assert card_from_dict(Card("bare").to_dict()) == Card("bare")


def test_equal_cards_have_one_spelling() -> None:
    assert Card("a", seconds=3).to_dict() == Card("a", seconds=3.0).to_dict()
    assert repr(Card("a", seconds=3).to_dict()) == repr(Card("a", seconds=3.0).to_dict())


def test_gap_is_relative_to_the_float_model() -> None:
    assert DomainResult("x", 1, 2.0, 2.01).gap == pytest.approx(0.005)
    assert DomainResult("x", 1, 0.0, 0.1).gap == 0.0


@pytest.mark.parametrize("name", ["", "a" * 65, "Small", "a b", ".hidden", "-flag", "_x", "a/b", "..", "é", "a\n"])
def test_name_that_could_not_be_a_file_name(name: str) -> None:
    with pytest.raises(ValueError, match="model name"):
        Card(name)


@pytest.mark.parametrize("name", ["a", "small", "small-v1.2_x", "9" * 64])
def test_names_that_can(name: str) -> None:
    assert Card(name).name == name


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "a\nb", "\x00", "\x7f", "\x9b", "\u202e", "\u200b", "\ufeff", "\u2028", "\ud800"]
)
@pytest.mark.parametrize("field", ["summary", "machine", "limits", "sources"])
def test_control_and_invisible_characters_are_refused(field: str, text: str) -> None:
    value: Any = {"limits": (text,), "sources": (DataSource("x", text),)}.get(field, text)
    with pytest.raises(ValueError, match=f"card.{field}.* control or invisible"):
        replace(CARD, **{field: value})


def test_any_script_is_welcome() -> None:
    assert replace(CARD, summary="维基百科 é 𝄞").summary == "维基百科 é 𝄞"


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["steps", "tokens", "seconds"])
def test_impossible_numbers(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"card.{field} must be a number"):
        replace(CARD, **{field: value})


def test_size_limit_is_inclusive() -> None:
    room = MAX_CARD_BYTES - len('{"licence":"","limits":[],"machine":"","name":"a","recipe":"","results":[],')
    room -= len('"seconds":0.0,"sources":[],"steps":0,"summary":"","tokens":0}')
    Card("a", summary="x" * room)
    with pytest.raises(ValueError, match="card is 16385 bytes"):
        Card("a", summary="x" * (room + 1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": 7}, "card.name is not a text"),
        ({"name": "A"}, "model name"),
        ({"steps": 1.5}, "card.steps is not an integer"),
        ({"steps": True}, "card.steps is not an integer"),
        ({"steps": -1}, "card.steps must be"),
        ({"seconds": "1"}, "card.seconds is not a number"),
        ({"seconds": None}, "card.seconds is not a number"),
        ({"limits": "no"}, "card.limits is not a list"),
        ({"limits": [1]}, "card.limits are not texts"),
        ({"sources": {}}, "card.sources is not a list"),
        ({"sources": [1]}, r"card.sources\[0\] does not have exactly"),
        ({"sources": [{"name": "x"}]}, r"card.sources\[0\] does not have exactly the fields name, licence"),
        ({"results": [{"domain": "x", "bytes": 1, "float_bpb": "2", "integer_bpb": 2}]}, r"results\[0\].float_bpb"),
        ({"results": [{"domain": "x", "bytes": 1, "float_bpb": 2, "integer_bpb": -2}]}, "must be a number"),
        ({"unknown": 1}, "card does not have exactly the fields name, summary"),
        ({"summary": "\x1b"}, "control"),
    ],
)
def test_impossible_fields(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        card_from_dict({**CARD.to_dict(), **change})


@pytest.mark.parametrize("value", [None, [], "card", 1])
def test_card_of_another_kind(value: list[Any] | str | int | None) -> None:
    with pytest.raises(ModelInvalid, match="card does not have"):
        card_from_dict(value)


def test_page_shows_every_fact() -> None:
    body, embedding = CONFIG.parameter_counts()
    shown = page(replace(CARD, machine="2 cores", recipe="zipllm train x", seconds=7200, steps=1234567))
    for fact in (
        "# tiny", "Random weights", bytes(range(32)).hex(), f"{body:,}", f"{embedding:,}", "12,345 bytes", "window 8",
        "Apache-2.0", "noise", "8.0100", "+0.12%", "CC0-1.0", "1,234,567", "2.00 hours", "2 cores", "zipllm train x",
        "zipllm decompress FILE.zllm --model tiny.safetensors", "It knows nothing.",
    ):  # fmt: skip
        assert fact in shown, fact


def test_page_of_a_bare_card_says_what_is_not_known() -> None:
    shown = page(Card("bare"))
    assert "Not measured." in shown
    assert "Not recorded." in shown
    assert "## Limits" not in shown


def test_page_escapes_html_and_markdown() -> None:
    evil = "<script>alert(1)</script> | [x](javascript:1) `code` # *b* ![i](http://e)"
    shown = page(Card("x", summary=evil, limits=(evil,), sources=(DataSource(evil, evil, 0, evil),), machine=evil))
    assert "<script" not in shown
    assert "](" not in shown.replace("\\](", "")
    rows = [line for line in shown.splitlines() if line.startswith("|") and "alert" in line]
    assert rows
    assert all("\\|" in row for row in rows)
