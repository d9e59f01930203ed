"""What is said about an explanation, on the page and in the terminal alike."""

import numpy as np

from zipllm.container import Coding
from zipllm.measure.explanation import Explanation

MOST_BITS = 8
"""The scale of colors ends here, always: what a byte costs without compression."""

_CODINGS = {
    Coding.MODEL: "the model",
    Coding.HISTORY: "the history alone",
    Coding.STORED: "no codec at all: it stores them",
}


def heat(bits_per_byte: float) -> int:
    """Return the step of the scale, 0 to 16, in halves of a bit."""
    return min(2 * MOST_BITS, round(2 * bits_per_byte))


def lead(explanation: Explanation, model: str | None) -> str:
    """Return one sentence with what counts."""
    size, count = len(explanation.raw), len(explanation.costs.bits)
    rate = f"{explanation.bits / size:.3f} for each of {size:,} bytes"
    return (
        f"{count:,} {unit_name(explanation, count)} cost {explanation.bits:,.1f} bits, {rate}; "
        f"the archive takes {explanation.archive_bytes:,} bytes. {coder(explanation, model)}"
    )


def unit_name(explanation: Explanation, count: int = 1) -> str:
    """Return what is coded: tokens, or bytes where there is no Transformer."""
    name = "token" if explanation.coding is Coding.MODEL else "byte"
    return name if count == 1 else name + "s"


def coder(explanation: Explanation, model: str | None) -> str:
    """Return what coded the bytes and, with a model and history, what each was worth."""
    lanes = "" if explanation.lanes == 1 else f", in {explanation.lanes} lanes that learn side by side"
    if explanation.coding is Coding.HISTORY:
        return f"Coded byte by byte by what the file itself has shown, without a Transformer{lanes}."
    named = f"the Transformer {model or 'of the model file'}"
    alone = alone_bits(explanation)
    if alone is None or not explanation.history:
        return f"Coded by {named} alone, which learns nothing from the file{lanes}."
    saved = alone - explanation.bits
    verb = "saved" if saved >= 0 else "added"
    share = f"{100 * abs(saved) / alone:.1f} %"
    return (
        f"Coded by {named} with history{lanes}: alone it takes {alone:,.1f} bits, the history {verb} {share} of them."
    )


def alone_bits(explanation: Explanation) -> float | None:
    """Return what the Transformer alone would have charged; None without one."""
    opinions = explanation.costs.opinions
    if opinions is None:
        return None
    return float(np.log2(explanation.whole) * len(opinions.frequency) - np.log2(opinions.frequency).sum())


def note(explanation: Explanation) -> str:
    """Return what a reader must know who expects the archive of ``compress``; mostly nothing."""
    if explanation.compress_coding is explanation.coding:
        return ""
    usual = _CODINGS.get(explanation.compress_coding, explanation.compress_coding.name.lower())
    shown = _CODINGS[explanation.coding]
    return (
        f"compress codes these bytes by {usual}, in an archive of {explanation.compress_bytes:,} bytes. "
        f"Shown here is {shown}, which would take {explanation.archive_bytes:,}."
    )


def account(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Return where all bits of the archive are: what, bits, bytes; the last row is the sum of those above it."""
    model = ", model id" if explanation.model_id is not None else ""
    rows = (
        (f"all {unit_name(explanation, 2)}", explanation.bits),
        ("end of the coder's words", 8 * explanation.payload_bytes - explanation.bits),
        (f"container: headers, checksums{model}", 8.0 * explanation.container_bytes),
        ("archive", 8.0 * explanation.archive_bytes),
    )
    return [(what, f"{bits:,.1f}", f"{bits / 8:,.1f}") for what, bits in rows]


def sums(explanation: Explanation) -> str:
    """Return the same in one line."""
    *parts, (_, total, size) = account(explanation)
    return (
        "bits: "
        + " + ".join(f"{bits} ({what})" for what, bits, _ in parts)
        + f" = {total}, {size.removesuffix('.0')} bytes"
    )
