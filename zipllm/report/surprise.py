"""What every token cost -> one self-contained HTML page: the text in colors, a card for each token, a strip chart.

The policy in its head allows the page's one script and one style, by their digests, so that nothing of the shown file
can run or load anything even if it became markup.
"""

import base64
import hashlib
from collections.abc import Sequence

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from zipllm.measure.explanation import Explanation
from zipllm.report.html_page import asset, render
from zipllm.report.strip import LEFT, WIDE, strip
from zipllm.report.units import Unit, shown, sign, units
from zipllm.report.words import account, heat, lead, unit_name

_DEAREST = 12
_CONTEXT = 24


def surprise_page(explanation: Explanation, name: str, model: str | None, remarks: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        explanation: what every token cost.
        name: name of the file to show.
        model: name of the model to show; None without a model.
        remarks: notes that a reader must see first.
    """
    parts = list(units(explanation.text, explanation.lengths))
    unit = unit_name(explanation)
    return render(
        "surprise.html",
        f"What each {unit} of {shown(name.encode('utf-8', 'surrogateescape'))} cost",
        policy=(
            f"default-src 'none'; style-src '{_digest('surprise.css')}'; script-src '{_digest('surprise.js')}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        style="surprise.css",
        lead=lead(explanation, model),
        remarks=remarks,
        unit=unit,
        account=account(explanation),
        strip=strip(explanation, parts),
        lanes=explanation.lanes,
        text=_text(explanation, parts),
        dearest=_dearest(explanation, parts),
        data=_data(explanation, parts),
    )


def _digest(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode("ascii")


def _bits(explanation: Explanation, unit: Unit) -> float:
    return float(explanation.costs.bits[unit.first : unit.first + unit.tokens].sum())


def _step(explanation: Explanation, unit: Unit) -> int:
    return heat(_bits(explanation, unit) / (unit.end - unit.begin))


def _text(explanation: Explanation, parts: Sequence[Unit]) -> Markup:
    """Return the text in colors; here rather than in the template because long texts take half the time."""
    span = "<span id=u{} class=c{}>{}</span>"
    spans = (span.format(number, _step(explanation, unit), _markup(unit.text)) for number, unit in enumerate(parts))
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
            "number": number,
            "begin": f"{parts[number].begin:,}",
            "bits": f"{-bits:.1f}",
            "before": shown(explanation.text[max(0, parts[number].begin - _CONTEXT) : parts[number].begin])[-_CONTEXT:],
            "text": "".join(map(sign, parts[number].text)),
            "step": _step(explanation, parts[number]),
        }
        for bits, number in costs[:_DEAREST]
    ]


def _data(explanation: Explanation, parts: Sequence[Unit]) -> Markup:
    """Return the numbers behind the cards as JSON that is safe inside a script element."""
    costs, opinions = explanation.costs, explanation.costs.opinions
    used = set(costs.tokens.tolist()) | (set(opinions.top.ravel().tolist()) if opinions else set())
    lanes = costs.lanes.tolist()
    record: dict[str, object] = {
        "left": LEFT,
        "wide": WIDE,
        "history": explanation.history,
        "lanes": [index for index, lane in enumerate(lanes) if index == 0 or lane != lanes[index - 1]],
        "words": {token: shown(explanation.vocabulary[token]) for token in sorted(used)},
        "unit": [unit.tokens for unit in parts],
        "length": explanation.lengths,
        "id": costs.tokens.tolist(),
        "bits": [round(bits, 3) for bits in costs.bits.tolist()],
    }
    if opinions is not None:
        record |= {
            "whole": explanation.whole,
            "best": opinions.top.shape[1],
            "frequency": opinions.frequency.tolist(),
            "rank": opinions.rank.tolist(),
            "top": opinions.top.ravel().tolist(),
            "topFrequency": opinions.top_frequency.ravel().tolist(),
        }
    return htmlsafe_json_dumps(record, separators=(",", ":"))
