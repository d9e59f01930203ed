"""``zipllm eval`` of a masked model: its pseudo-likelihood, beside what it would cost as a left-to-right coder.

With ``--json`` there is one object for each file and, last, one for all of them, each on a line:

command, file | files, ok, model, raw_bytes, tokens, seconds  as for other models, see ``results``
kind                     ``masked``
code_length              false: nothing here is the size of a file that could be decoded
unknown                  tokens that stand for something the model has no token for
windows                  into which the tokens were cut, each seen by itself
pseudo_bits, pseudo_bits_per_token, pseudo_bits_per_byte  each token predicted from both sides; null if there is none
pseudo_perplexity        2 ** pseudo_bits_per_token
forward_bits, forward_bits_per_token, forward_bits_per_byte  each token predicted from those before it only
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zipllm.cli.messages import display_name
from zipllm.cli.progress import fraction_progress
from zipllm.cli.results import print_json

if TYPE_CHECKING:
    from zipllm.cli.loader import Loader
    from zipllm.cli.voice import Voice
    from zipllm.huggingface.pseudo_likelihood import PseudoLikelihood
    from zipllm.measure.raw_inputs import RawInput

_HEADS = ("file", "bytes", "tokens", "unknown", "pseudo bits", "pseudo bpb", "pseudo ppl", "fwd bits", "fwd bpb")
_NO_CODER = (
    "This model is no left-to-right coder, and no number here is a code length. It predicts a token from the tokens on "
    "both sides; a decoder has only those before it and could not follow."
)
_WHAT = (
    "pseudo: each token is masked in turn and predicted from all others of its window (Salazar et al. 2020). fwd: "
    "every token behind the mask is hidden, too, as the chain rule demands; the model was not trained for that. "
    "bits: per token. bpb: per byte of the text, which the tokens do not restore: they drop blanks, case or accents, "
    "and an unknown token drops everything."
)


def evaluate_masked(inputs: "Sequence[RawInput]", loader: "Loader", voice: "Voice") -> int:
    """Measure every input, print, and return the exit code. Raises ``ModelError`` if the model cannot be used."""
    from zipllm.huggingface.pseudo_likelihood import PseudoLikelihood, pseudo_likelihood

    loaded = loader.masked()
    shared = {"command": "eval", "ok": True, "model": loader.name, "kind": "masked", "code_length": False}
    files, seconds = list[PseudoLikelihood](), list[float]()
    for raw in inputs:
        begun = time.monotonic()
        with fraction_progress(voice, raw.name, raw.item.raw_bytes) as advance:
            files.append(pseudo_likelihood(loaded, raw.item.path.read_bytes(), advance))
        seconds.append(time.monotonic() - begun)
        if voice.json:
            print_json({**shared, "file": raw.name, **_json(files[-1], seconds[-1])})
    whole = _total(files)
    if voice.json:
        print_json({**shared, "files": len(files), **_json(whole, sum(seconds))})
    elif voice.level >= 0:
        rows = [(display_name(raw.name), *_cells(costs)) for raw, costs in zip(inputs, files, strict=True)]
        _print(rows, whole, f"{loader.name} ({loaded.folder.architecture}, {loaded.parameters:,} parameters)")
    return 0


def _total(parts: "Sequence[PseudoLikelihood]") -> "PseudoLikelihood":
    from zipllm.huggingface.pseudo_likelihood import PseudoLikelihood

    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return PseudoLikelihood(*(sum(column) for column in columns))


def _json(costs: "PseudoLikelihood", seconds: float) -> dict[str, object]:
    return {**vars(costs), **_rates(costs), "seconds": round(seconds, 3)}


def _rates(costs: "PseudoLikelihood") -> dict[str, float | None]:
    per_token = _per(costs.pseudo_bits, costs.tokens)
    return {
        "pseudo_bits_per_token": per_token,
        "pseudo_bits_per_byte": _per(costs.pseudo_bits, costs.raw_bytes),
        "pseudo_perplexity": None if per_token is None else 2**per_token,
        "forward_bits_per_token": _per(costs.forward_bits, costs.tokens),
        "forward_bits_per_byte": _per(costs.forward_bits, costs.raw_bytes),
    }


def _print(rows: Sequence[Sequence[str]], whole: "PseudoLikelihood", title: str) -> None:
    from zipllm.cli.tables import new_table, note, print_parts

    last = (f"all {len(rows)} files", *_cells(whole)) if len(rows) > 1 else ()
    print_parts([new_table(title, _HEADS, rows, last), _NO_CODER, note(_WHAT)])


def _cells(costs: "PseudoLikelihood") -> list[str]:
    counts, rates = (costs.raw_bytes, costs.tokens, costs.unknown), _rates(costs).values()
    return [*(f"{count:,}" for count in counts), *("-" if rate is None else f"{rate:,.4f}" for rate in rates)]


def _per(bits: float, count: int) -> float | None:
    return bits / count if count else None
