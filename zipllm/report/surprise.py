"""What every token cost -> one self-contained HTML page: the text in colors, a card for each token, a strip chart.

The policy in its head allows the page's one script and one style, by their digests, so that nothing of the shown file
can run or load anything even if it became markup.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

import zipllm
from zipllm.measure.explanation import Explanation
from zipllm.report.html_page import asset, render
from zipllm.report.palette import MOST_BITS, heat, heat_css
from zipllm.report.units import Unit, shown, sign, units
from zipllm.report.words import account, headline, lead, unit_name

MOST_SHOWN = 1 << 14
"""Tokens in the text of a page, which takes up to 150 bytes for each; twice as many bytes without a model."""
_DEAREST = 8
_CONTEXT = 24
_MOST_BARS = 120
_HIGH = 64
"""Height of ``MOST_BITS`` in the strip, which is 1000 wide."""


def surprise_page(
    explanation: Explanation, name: str, model: str | None, remarks: Sequence[str] = (), command: str = ""
) -> str:
    """Return the page.

    Args:
        explanation: what every token cost.
        name: name of the file to show.
        model: name of the model to show; None without a model.
        remarks: notes that a reader must see first.
        command: that made the page.
    """
    every = list(units(explanation.text, explanation.lengths))
    most = MOST_SHOWN if explanation.costs.opinions else 2 * MOST_SHOWN
    parts = [unit for unit in every if unit.first + unit.tokens <= most]
    if len(parts) < len(every):
        size = f"first {parts[-1].end:,} of {len(explanation.text):,} bytes"
        remarks = [*remarks, f"The text below is the {size}; --range shows others. All numbers are of the whole."]
    style, script = Markup(asset("surprise.css") + heat_css()), asset("surprise.js")  # noqa: S704  # our own
    strip, dearest = _strip(explanation, every), _dearest(explanation, every)
    linked = {place["unit"] for place in (*strip["bars"], *dearest)}
    return render(
        "surprise.html",
        f"{shown(name.encode('utf-8', 'surrogateescape'))}: what each {unit_name(explanation)} cost",
        policy=(
            f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        name=shown(name.encode("utf-8", "surrogateescape")),
        headline=headline(explanation),
        origin=f"zipllm {zipllm.__version__} · {datetime.now(UTC):%Y-%m-%d}",
        command=command,
        lead=lead(explanation, model),
        remarks=remarks,
        unit=unit_name(explanation),
        account=account(explanation),
        strip=strip,
        lanes=explanation.lanes,
        text=_text(explanation, parts, linked),
        shown=len(parts),
        size=f"{len(explanation.text):,}",
        dearest=dearest,
        data=_data(explanation, parts),
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _bits(explanation: Explanation, unit: Unit) -> float:
    return float(explanation.costs.bits[unit.first : unit.first + unit.tokens].sum())


def _step(explanation: Explanation, unit: Unit) -> int:
    return heat(_bits(explanation, unit) / (unit.end - unit.begin))


def _text(explanation: Explanation, parts: Sequence[Unit], linked: set[object]) -> Markup:
    """Return the text in colors; here rather than in the template because long texts take half the time."""
    spans = []
    for number, unit in enumerate(parts):
        name = f" id=u{number}" if number in linked else ""
        spans.append(f"<span{name} class=c{_step(explanation, unit)}>{_markup(unit.text)}</span>")
    return Markup("".join(spans))  # noqa: S704  # numbers and escaped text


def _markup(text: str) -> Markup:
    """Return a unit's text; the signs of line ends and tabs are decoration, so that copying gives the text."""
    return Markup.escape(text) if text.isprintable() else Markup().join(map(_character, text))


def _character(character: str) -> Markup:
    if character in "\r\n\t":
        return Markup('<i data-sign="{}"></i>{}').format(sign(character), character.strip(chr(13)))
    return Markup.escape(sign(character))


def _dearest(explanation: Explanation, parts: Sequence[Unit]) -> list[dict[str, object]]:
    costs = sorted((-_bits(explanation, unit), number) for number, unit in enumerate(parts))
    return [
        {
            "unit": number,
            "begin": f"{parts[number].begin:,}",
            "bits": f"{-bits:.1f}",
            "before": shown(explanation.text[max(0, parts[number].begin - _CONTEXT) : parts[number].begin])[-_CONTEXT:],
            "text": "".join(map(sign, parts[number].text)).replace(" ", "␣"),
            "step": _step(explanation, parts[number]),
        }
        for bits, number in costs[:_DEAREST]
    ]


def _strip(explanation: Explanation, parts: Sequence[Unit]) -> dict[str, list[dict[str, object]]]:
    """Return bars of the mean bits per byte of equal pieces of the file, and where lanes start."""
    lengths = np.array(explanation.lengths)
    rates = np.repeat(explanation.costs.bits / lengths, lengths)  # a token's bits, spread evenly over its bytes
    edges = np.linspace(0, rates.size, min(_MOST_BARS, rates.size) + 1).astype(np.int64)
    first_units = np.searchsorted([unit.begin for unit in parts], edges[:-1], side="right") - 1
    scale = 1000 / rates.size
    bars = []
    for begin, end, unit in zip(edges[:-1].tolist(), edges[1:].tolist(), first_units.tolist(), strict=True):
        rate = float(rates[begin:end].mean())
        height = _HIGH * min(rate, MOST_BITS) / MOST_BITS
        places = {"x": begin * scale, "y": _HIGH - height, "width": (end - begin) * scale, "height": height}
        bar = {"unit": unit, "begin": f"{begin:,}", "rate": f"{rate:.2f}", "step": heat(rate)}
        bars.append(bar | {name: f"{place:.2f}" for name, place in places.items()})
    lanes = explanation.costs.lanes
    starts = (np.cumsum(lengths) - lengths)[1:][lanes[1:] != lanes[:-1]]
    return {"bars": bars, "lanes": [{"x": f"{begin * scale:.1f}"} for begin in starts.tolist()]}


def _data(explanation: Explanation, parts: Sequence[Unit]) -> Markup:
    """Return the numbers behind the cards as JSON that is safe inside a script element."""
    costs, opinions = explanation.costs, explanation.costs.opinions
    count = parts[-1].first + parts[-1].tokens
    tokens, lanes = costs.tokens[:count].tolist(), costs.lanes[:count].tolist()
    used = set(tokens) | (set(opinions.top[:count].ravel().tolist()) if opinions else set())
    record: dict[str, object] = {
        "size": len(explanation.text),
        "history": explanation.history,
        "lanes": [index for index, lane in enumerate(lanes) if index == 0 or lane != lanes[index - 1]],
        "words": {token: shown(explanation.vocabulary[token]) for token in sorted(used)},
        "unit": [unit.tokens for unit in parts],
        "length": explanation.lengths[:count],
        "id": tokens,
        "bits": [round(bits, 3) for bits in costs.bits[:count].tolist()],
    }
    if opinions is not None:
        record |= {
            "whole": explanation.whole,
            "best": opinions.top.shape[1],
            "frequency": opinions.frequency[:count].tolist(),
            "rank": opinions.rank[:count].tolist(),
            "top": opinions.top[:count].ravel().tolist(),
            "topFrequency": opinions.top_frequency[:count].ravel().tolist(),
        }
    return htmlsafe_json_dumps(record, separators=(",", ":"))
