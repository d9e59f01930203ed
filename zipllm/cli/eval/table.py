"""The table of ``zipllm eval``."""

from collections.abc import Sequence

from zipllm.bench.columns import CONTAMINATED
from zipllm.cli.eval.results import Measured, Setup, archive_bytes, context_text, mean_left_out
from zipllm.cli.messages import display_name, format_size
from zipllm.cli.tables import new_table, note, print_parts
from zipllm.measure.rates import total

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
    title = f"{setup.name} ({setup.model_id.hex()[:16]}, {setup.parameters:,} parameters)"
    history = archive_bytes(files) is not None
    rows = [(_name(each, setup), *_cells([each])) for each in files]
    whole = (f"all {len(files)} files", *_cells(files)) if len(files) > 1 else ()
    table = new_table(title, [*_HEADS, "archive"] if history else _HEADS, rows, whole)
    notes = [context_text(setup), _NOTE, *[_ARCHIVE] * history]
    print_parts([table, *map(note, notes), *_remarks(files, setup)])


def _name(measured: Measured, setup: Setup) -> str:
    marks = "…" * measured.raw.cut + "†" * bool(setup.contaminated(measured.raw))
    return display_name(measured.raw.name) + marks + "‡" * (not measured.evaluation.valid_utf8)


def _remarks(files: Sequence[Measured], setup: Setup) -> list[str]:
    remarks = []
    if setup.limit is not None and any(measured.raw.cut for measured in files):
        remarks.append(_CUT.format(format_size(setup.limit)))
    if any(setup.contaminated(measured.raw) for measured in files):
        remarks.append(CONTAMINATED)
    if not all(measured.evaluation.valid_utf8 for measured in files):
        remarks.append(_INVALID)
    if not setup.portable:
        remarks.append(_FLOATS)
        remarks.append(_LEFT_OUT.format(setup.left_out, mean_left_out(files)))
    return remarks


def _cells(files: Sequence[Measured]) -> list[str]:
    whole, size = total(measured.evaluation for measured in files), archive_bytes(files)
    rates = (whole.nats_per_token, whole.bits_per_token, whole.bits_per_byte, whole.bits_per_character)
    perplexities = (whole.perplexity, whole.byte_perplexity, whole.word_perplexity)
    return [
        f"{whole.raw_bytes:,}",
        f"{whole.tokens:,}",
        *("-" if rate is None else f"{rate:.4f}" for rate in rates),
        *("-" if perplexity is None else _short(perplexity) for perplexity in perplexities),
        *([] if size is None else [f"{8 * size / whole.raw_bytes:.4f}" if whole.raw_bytes else "-"]),
    ]


def _short(value: float) -> str:
    """``2.814``, ``41.23``, ``1,234``, ``3.1e+08``: a perplexity may have any size."""
    if value >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.{3 if value < 10 else 2 if value < 1000 else 0}f}"
