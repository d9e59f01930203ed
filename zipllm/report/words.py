"""Sentences about an explanation, for the page and the terminal."""

import numpy as np

from zipllm.container import Coding
from zipllm.measure.explanation import Explanation

_CODINGS = {
    Coding.MODEL: "the model",
    Coding.HISTORY: "the history alone",
    Coding.STORED: "no codec: it stores them",
    Coding.SAMPLES: "their samples",
}


def headline(explanation: Explanation) -> str:
    """Return the sizes: ``857 -> 313 bytes (36.5 %)``."""
    size, packed = len(explanation.raw), explanation.archive_bytes
    return f"{size:,} -> {packed:,} bytes ({100 * packed / size:.1f} %)"


def lead(explanation: Explanation, model: str | None) -> str:
    """Return what the tokens cost, and who coded them."""
    count, rate = len(explanation.costs.bits), explanation.bits / len(explanation.raw)
    cost = f"{count:,} {unit_name(explanation, count)} cost {explanation.bits:,.1f} bits, {rate:.3f} per byte"
    return f"{cost}. {coder(explanation, model)}"


def unit_name(explanation: Explanation, count: int = 1) -> str:
    """Return the name of the coded units: tokens, or bytes without a Transformer."""
    name = "token" if explanation.coding is Coding.MODEL else "byte"
    return name if count == 1 else name + "s"


def coder(explanation: Explanation, model: str | None) -> str:
    """Return a sentence about the coder and, with a model and history, the share that the history saved."""
    lanes = "" if explanation.lanes == 1 else f", in {explanation.lanes} lanes that learn side by side"
    if explanation.coding is Coding.HISTORY:
        return f"Coded byte by byte from the history of the file itself, without a Transformer{lanes}."
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
    """Return the bits that the Transformer alone would take; None without a Transformer."""
    opinions = explanation.costs.opinions
    if opinions is None:
        return None
    return float(np.log2(explanation.whole) * len(opinions.frequency) - np.log2(opinions.frequency).sum())


def note(explanation: Explanation) -> str:
    """Return a note if ``compress`` codes these bytes in another way or transcodes them, else an empty text."""
    notes = []
    if explanation.encoding is not None:
        notes.append(
            f"The {unit_name(explanation, 2)} are those of the text in UTF-8, transcoded from {explanation.encoding}."
        )
    if explanation.compress_coding is not explanation.coding:
        usual = _CODINGS.get(explanation.compress_coding, explanation.compress_coding.name.lower())
        shown = _CODINGS[explanation.coding]
        notes.append(
            f"compress codes these bytes by {usual}, in an archive of {explanation.compress_bytes:,} bytes. "
            f"Shown here is {shown}, which would take {explanation.archive_bytes:,}."
        )
    return " ".join(notes)


def account(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Return rows of part, bits and bytes that cover the archive; the last row is the sum of the others."""
    model = ", model id" if explanation.model_id is not None else ""
    rows = (
        (f"all {unit_name(explanation, 2)}", explanation.bits),
        ("end of the coder's words", 8 * explanation.payload_bytes - explanation.bits),
        (f"container: headers, checksums{model}", 8.0 * explanation.container_bytes),
        ("archive", 8.0 * explanation.archive_bytes),
    )
    return [(what, f"{bits:,.1f}", f"{bits / 8:,.1f}") for what, bits in rows]


def sums(explanation: Explanation) -> str:
    """Return the account in one line."""
    *parts, (_, total, size) = account(explanation)
    return (
        "bits: "
        + " + ".join(f"{bits} ({what})" for what, bits, _ in parts)
        + f" = {total}, {size.removesuffix('.0')} bytes"
    )
