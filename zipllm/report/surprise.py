"""What every token cost -> one self-contained HTML page: the text in colors, a card for each token, a strip chart.

It asks for nothing from anywhere. The policy in its head allows the one script and the one style that are in the page,
by their digests, so that nothing of the file shown can run or load anything even if it became markup.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources

from zipllm.measure.explanation import Explanation
from zipllm.report.escape import escape, table
from zipllm.report.strip import LEFT, WIDE, strip_svg
from zipllm.report.units import Unit, shown, sign, units
from zipllm.report.words import account, heat, lead, unit_name

_DEAREST = 12
_CONTEXT = 24
_EXPLAINED = (
    "Everything is colored by what it cost in the archive, in bits for each of its bytes. Point at one to see why, or "
    "press Tab to reach the text and go on with the arrow keys; click into the strip to jump. ↵ is a line feed, → a "
    "tab, \\r a carriage return; \\x.. is a byte that is no text."
)


def surprise_page(explanation: Explanation, name: str, model: str | None, remarks: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        explanation: what every token cost.
        name: of the file, to be shown.
        model: name of the model, to be shown; None without one.
        remarks: what a reader must know first.
    """
    title = f"What each {unit_name(explanation)} of {shown(name.encode('utf-8', 'surrogateescape'))} cost"
    shown_units = list(units(explanation.raw, explanation.lengths))
    style, script = _asset("surprise.css"), _asset("surprise.js")
    body = (
        f"<h1>{escape(title)}</h1>",
        f"<p class=lead>{escape(lead(explanation, model))}</p>",
        *(f"<p class=note>{escape(note)}</p>" for note in remarks),
        table(("where the archive's bits are", "bits", "bytes"), account(explanation)),
        f"<p>{escape(_EXPLAINED)}</p><noscript><p class=note>The cards need the script in this page.</p></noscript>",
        f"<div id=bar>{strip_svg(explanation, shown_units)}{_legend(explanation.lanes)}</div>",
        '<div id=text tabindex=0 role=group aria-label="The text, token by token; arrow keys move">'
        + "".join(_span(number, unit, explanation) for number, unit in enumerate(shown_units))
        + "</div>",
        f"<h2>The dearest places</h2>{_dearest(explanation, shown_units)}",
        "<div id=card hidden role=status></div>",
        f'<script type="application/json" id=data>{_data(explanation, shown_units)}</script>',
        f"<script>{script}</script>",
    )
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    text = "\n".join(filter(None, body))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{text}\n</body></html>\n'


def _asset(name: str) -> str:
    return (resources.files("zipllm.report") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _legend(lanes: int) -> str:
    steps = "".join(f"<li class=c{2 * bits}>{bits}{'+' if bits == 8 else ''}</li>" for bits in range(9))
    dashes = "; dashed: a lane begins, without context of its own" if lanes > 1 else ""
    return f"<div id=legend>bits per byte <ol>{steps}</ol> of 8 without compression{dashes}</div>"


def _bits(explanation: Explanation, unit: Unit) -> float:
    return float(explanation.costs.bits[unit.first : unit.first + unit.tokens].sum())


def _span(number: int, unit: Unit, explanation: Explanation) -> str:
    step = heat(_bits(explanation, unit) / (unit.end - unit.begin))
    return f"<span id=u{number} class=c{step}>{''.join(map(_character, unit.text))}</span>"


def _character(character: str) -> str:
    """Return a character as text; the signs of line ends and tabs are decoration, so that copying gives the text."""
    if character in "\r\n\t":
        return f'<i data-sign="{sign(character)}"></i>{character.strip(chr(13))}'
    return escape(sign(character)) if character.isprintable() else sign(character)


def _dearest(explanation: Explanation, shown_units: Sequence[Unit]) -> str:
    costs = [(_bits(explanation, unit), number) for number, unit in enumerate(shown_units)]
    rows = []
    for bits, number in sorted(costs, key=lambda pair: (-pair[0], pair[1]))[:_DEAREST]:
        unit = shown_units[number]
        before = shown(explanation.raw[max(0, unit.begin - _CONTEXT) : unit.begin])[-_CONTEXT:]
        step = heat(bits / (unit.end - unit.begin))
        rows.append(
            f"<tr><td><a href=#u{number}>byte {unit.begin:,}</a></td><td>{bits:.1f}</td>"
            f"<td class=words>{escape(before)}<b class=c{step}>{escape(''.join(map(sign, unit.text)))}</b></td></tr>"
        )
    heads = "<tr><th>where</th><th>bits</th><th class=words>what, behind what came before</th></tr>"
    return f"<div class=scroll><table><thead>{heads}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def _data(explanation: Explanation, shown_units: Sequence[Unit]) -> str:
    """Return the numbers behind the cards as JSON that is safe inside of a script element."""
    costs, opinions = explanation.costs, explanation.costs.opinions
    used = set(costs.tokens.tolist()) | (set(opinions.top.ravel().tolist()) if opinions else set())
    lanes = costs.lanes.tolist()
    record: dict[str, object] = {
        "left": LEFT,
        "wide": WIDE,
        "history": explanation.history,
        "lanes": [index for index, lane in enumerate(lanes) if index == 0 or lane != lanes[index - 1]],
        "words": {token: shown(explanation.vocabulary[token]) for token in sorted(used)},
        "unit": [unit.tokens for unit in shown_units],
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
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
