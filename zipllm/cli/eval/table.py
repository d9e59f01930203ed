"""The table of ``zipllm eval``.

Imported when results are there, because rich takes a while to import.
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from zipllm.bench.columns import CONTAMINATED
from zipllm.cli.eval.results import Measured, Setup, archive_bytes, context_text, mean_left_out
from zipllm.cli.messages import format_size
from zipllm.cli.results import write_stdout
from zipllm.cli.tables import new_table, render, shown
from zipllm.measure.rates import Evaluation, total

_HEADS = ("file", "bytes", "tokens", "nats", "bits", "bpb", "bpc", "ppl", "byte ppl", "word ppl")
_NOTE = (
    "nats, bits: per token. bpb, bpc: bits per byte and per character. ppl: perplexity per token, byte and word, words "
    "as white space divides the original text (lm-eval counts an empty one more for white space at either end). All of "
    "it is the model alone, without what an archive learns from the file itself, and without headers. A dash: nothing "
    "to divide by, or no finite number."
)
_ARCHIVE = "archive: bits per byte of the archive that compress writes, with adaptive prediction and headers, decoded."
_INVALID = "‡ not all of it is UTF-8: each byte that is not counts as one character"
_CUT = "… only the first {}"
_FLOATS = (
    "A Hugging Face model computes in floats: on another machine the last digits may differ. What it was trained on is "
    "not known here; it may know this data."
)
_LEFT_OUT = (
    "{} ids of the model stand for no bytes (special, unused, or longer than a token may be here). They cannot occur; "
    "the probability that the model gives to them, {:.2%} on average, goes to the others in proportion."
)


def print_evaluation(files: Sequence[Measured], setup: Setup) -> None:
    """Print a row for each file, one for all if there are several, and what the numbers mean."""
    subject = setup.subject
    title = f"{subject.name} ({subject.model_id.hex()[:16]}, {subject.parameters:,} parameters)"
    history = archive_bytes(files) is not None
    table = new_table(title, [*_HEADS, "archive"] if history else _HEADS)
    for measured in files:
        table.add_row(_name(measured, setup), *_cells(measured.evaluation), *_archive_cells([measured]))
    if len(files) > 1:
        table.add_section()
        cells = _cells(total(measured.evaluation for measured in files))
        table.add_row(Text(f"all {len(files)} files"), *cells, *_archive_cells(files))
    parts: list[RenderableType] = [table, Text(context_text(setup), style="dim"), Text(_NOTE, style="dim")]
    parts += [Text(_ARCHIVE, style="dim")] * history
    parts += [Text(text) for text in _remarks(files, setup)]
    write_stdout(render(parts))


def _name(measured: Measured, setup: Setup) -> Text:
    marks = "…" * measured.raw.cut + "†" * bool(setup.contaminated(measured.raw))
    return shown(measured.name + marks + "‡" * (not measured.evaluation.valid_utf8))


def _remarks(files: Sequence[Measured], setup: Setup) -> list[str]:
    remarks = []
    if setup.limit is not None and any(measured.raw.cut for measured in files):
        remarks.append(_CUT.format(format_size(setup.limit)))
    if any(setup.contaminated(measured.raw) for measured in files):
        remarks.append(CONTAMINATED)
    if not all(measured.evaluation.valid_utf8 for measured in files):
        remarks.append(_INVALID)
    if not setup.subject.portable:
        remarks.append(_FLOATS)
        remarks.append(_LEFT_OUT.format(setup.subject.left_out, mean_left_out(files)))
    return remarks


def _cells(evaluation: Evaluation) -> list[str]:
    rates = (
        evaluation.nats_per_token,
        evaluation.bits_per_token,
        evaluation.bits_per_byte,
        evaluation.bits_per_character,
    )
    perplexities = (evaluation.perplexity, evaluation.byte_perplexity, evaluation.word_perplexity)
    return [
        f"{evaluation.raw_bytes:,}",
        f"{evaluation.tokens:,}",
        *("-" if rate is None else f"{rate:.4f}" for rate in rates),
        *("-" if perplexity is None else _short(perplexity) for perplexity in perplexities),
    ]


def _archive_cells(files: Sequence[Measured]) -> list[str]:
    size, raw = archive_bytes(files), sum(measured.evaluation.raw_bytes for measured in files)
    if size is None:
        return []
    return [f"{8 * size / raw:.4f}" if raw else "-"]


def _short(value: float) -> str:
    """``2.814``, ``41.23``, ``1,234``, ``3.1e+08``: a perplexity may have any size."""
    if value >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.{3 if value < 10 else 2 if value < 1000 else 0}f}"
