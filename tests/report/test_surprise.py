"""The page of ``explain``: self-contained, with the archive's numbers, and nothing of the file becomes markup."""

import base64
import hashlib
import json
import random
import re
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

import zipllm
from tests.codec.engines import TEXT, bpe_engine, byte_engine
from tests.report.pages import Page
from zipllm.codec.options import EncodeOptions
from zipllm.container.block import LEAN_MIXER
from zipllm.measure.costs import Costs
from zipllm.measure.explanation import Explanation, explain_bytes
from zipllm.report import surprise
from zipllm.report.palette import DARK, LIGHT, ansi, heat_css, on
from zipllm.report.surprise import surprise_page
from zipllm.report.units import shown, units
from zipllm.report.words import account, note

HOSTILE = b"</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\"'&amp;\x1b[31m\x00"
CHINESE = "学而时习之，不亦说乎？\r\n\t\u202e\u3000".encode() + b"\xff\xe5\xad"

By = Literal["model", "history"]


@cache
def explained(raw: bytes, by: By = "model", lanes: int = 1) -> Explanation:
    return explain_bytes(raw, bpe_engine(), by=by, options=EncodeOptions(history_bits=14, lanes=lanes))


def page(raw: bytes, name: str = "a.txt", by: By = "model", lanes: int = 1) -> Page:
    return Page(surprise_page(explained(raw, by, lanes), name, "tiny"))


def data_of(page: Page) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(page.inside["script"][0])
    return data


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("raw", [TEXT, HOSTILE, CHINESE], ids=["english", "hostile", "chinese"])
def test_the_page_asks_for_nothing(raw: bytes) -> None:
    found = page(raw)
    assert not found.names & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert not any({"src", "xlink:href", "action", "style"} & set(attributes) for _, attributes in found.tags)
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert all(re.fullmatch(r"#u\d+", str(a["href"])) for _, a in found.tags if "href" in a)
    (style,), script = found.inside["style"], found.inside["script"][1]
    assert not re.search(r"url\(|@import|https?:|fetch|XMLHttp|innerHTML|eval", style + script)
    assert found.policy == (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def test_nothing_becomes_markup() -> None:
    found = Page(surprise_page(explained(HOSTILE), HOSTILE.decode(), HOSTILE.decode(), [HOSTILE.decode()]))
    scripts = [attributes for tag, attributes in found.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    assert "img" not in found.names
    assert "<" not in found.inside["script"][0]
    assert found.map == shown(HOSTILE)
    assert "\x1b" not in surprise_page(explained(HOSTILE), "\x1b", None)


def test_the_text_is_there_by_character() -> None:
    """Unchanged except for invisible characters; the signs of line ends and tabs are not part of the text."""
    assert page(TEXT).map == TEXT.decode()
    assert page(CHINESE).map == "学而时习之，不亦说乎？\n\t\\u202e\u3000\\xff\\xe5\\xad"


@pytest.mark.parametrize("lanes", [1, 3])
def test_units_end_where_characters_do(lanes: int) -> None:
    found = explained(CHINESE, lanes=lanes)
    lengths = [len(found.vocabulary[token]) for token in found.costs.tokens.tolist()]
    parts = list(units(CHINESE, lengths))
    assert "".join(unit.text for unit in parts) == CHINESE.decode("utf-8", "surrogateescape")
    assert sum(unit.tokens for unit in parts) == len(lengths)
    assert [unit.begin for unit in parts[1:]] == [unit.end for unit in parts[:-1]]
    assert parts[0].text == "学"
    assert parts[0].tokens == 3


@pytest.mark.parametrize("by", ["model", "history"])
def test_the_numbers_behind_the_cards(by: By) -> None:
    found, data = explained(TEXT, by), data_of(page(TEXT, by=by))
    assert sum(data["bits"]) == pytest.approx(found.bits, abs=1e-3 * len(data["bits"]))
    assert b"".join(found.vocabulary[token] for token in data["id"]) == TEXT
    assert sum(data["unit"]) == len(data["id"]) == len(data["bits"]) == len(data["length"])
    if by == "history":
        assert "top" not in data
    else:
        assert found.costs.opinions is not None
        assert data["top"] == found.costs.opinions.top.ravel().tolist()
        assert set(map(str, data["top"])) <= set(data["words"])
        assert max(data["topFrequency"]) < data["whole"]


@pytest.mark.parametrize("by", ["model", "history"])
def test_the_account_adds_up(by: By) -> None:
    found = explained(TEXT, by)
    *parts, total = [float(bits.replace(",", "")) for _, bits, _ in account(found)]
    assert sum(parts) == pytest.approx(total, abs=0.2)
    assert total == 8 * found.archive_bytes
    text = surprise_page(found, "a", None)
    assert f"<td>{found.bits:,.1f}</td>" in text
    assert f"<td>{8 * found.archive_bytes:,.1f}</td>" in text


def test_the_strip_leads_to_every_part() -> None:
    found = page(TEXT, lanes=2)
    identities = {a["id"] for _, a in found.tags if "id" in a}
    links = [str(a["href"])[1:] for tag, a in found.tags if tag == "a" and a.get("tabindex") == "-1"]
    assert len(links) == 120
    assert set(links) <= identities
    assert len([a for tag, a in found.tags if tag == "line" and a.get("class") == "lane"]) == 1


def test_the_head_says_what_is_shown() -> None:
    text = surprise_page(explained(TEXT), "a.txt", "tiny", command="zipllm explain a.txt")
    size, packed = len(TEXT), explained(TEXT).archive_bytes
    assert f"{size:,} → {packed:,} bytes ({100 * packed / size:.1f} %)" in text
    assert f"zipllm {zipllm.__version__} · " in text
    assert "<code>zipllm explain a.txt</code>" in text
    assert text.index("The dearest tokens") < text.index("id=text")


def test_a_page_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text stops at a limit; strip, sums and the dearest tokens are of the whole file."""
    monkeypatch.setattr(surprise, "MOST_SHOWN", 50)
    found = page(TEXT + b"ZqXj")
    assert len(data_of(found)["id"]) == 50
    assert sum(data_of(found)["length"]) == len(found.map.encode())
    links = [str(a["href"])[1:] for _, a in found.tags if "href" in a]
    assert set(links) <= {a["id"] for _, a in found.tags if "id" in a}
    assert len([a for tag, a in found.tags if a.get("class") == "hit"]) == 120
    text = surprise_page(explained(TEXT + b"ZqXj"), "a", None)
    assert f"of {len(TEXT) + 4:,} bytes; --range shows others" in text


def test_the_largest_page_of_bytes() -> None:
    """A page by the history stays under 2 MB."""
    raw = bytes(random.Random(0).randbytes(4 * surprise.MOST_SHOWN))
    count = len(raw)
    tokens = np.frombuffer(raw, np.uint8).astype(np.int32)
    costs = Costs(tokens, np.zeros(count, np.int32), np.full(count, 8.123), b"", None)
    found = replace(explained(TEXT, "history"), raw=raw, text=raw, costs=costs)
    assert len(surprise_page(found, "noise", None).encode()) < 2_000_000


def test_page_and_terminal_have_one_palette() -> None:
    """The terminal's colors are the nearest it has to those of the page."""
    assert [ansi(bits).split(";")[-1] for bits in (2, 4, 8)] == ["223m", "215m", "124m"]
    for colors in (LIGHT, DARK):
        assert all(f"--heat: {color}; --on: {on(color)}" in heat_css() for color in colors)


def test_a_forced_model_is_said_plainly() -> None:
    raw = bytes(range(256)) * 2
    found = explain_bytes(raw, byte_engine(), by="model")
    assert note(found).startswith("compress codes these bytes by ")
    assert f"{found.compress_bytes:,}" in note(found)
    usual = explain_bytes(TEXT * 4, bpe_engine(), options=EncodeOptions(mixer=LEAN_MIXER))
    assert note(usual) == ""
