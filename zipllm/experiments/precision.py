"""Study: how many bits does a weight need?"""

import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.study import Row, Rows, Study, Table, change, number, percent, select
from zipllm.experiments.training import CALIBRATION_WINDOWS, FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan, Trained
from zipllm.model.evaluate import float_bits, integer_bits
from zipllm.model.integer import IntegerTransformer
from zipllm.model.parameters import IntegerModel
from zipllm.model_file.file import model_to_bytes
from zipllm.report.figures import Figure, Series
from zipllm.train.start import load_start

QUESTION = "What do int8 and int4 weights cost in bits per byte, and what do they save in the file?"
METHOD = (
    "A byte model trained here and the shipped model are exported with fewer and fewer bits per weight, without any "
    "training after that, activations always int8. Each form codes the same windows of held-out text, every window "
    "from the start token. The file holds one byte per weight whatever the bits; its size with the weights packed "
    "is computed, and its size through xz is measured. The shipped model's floats are restored from its int8 form."
)
_CORPORA = (1e6, 1e7, 1e8, 1e9)
"""Bytes over which the file of a model is spread."""


@dataclass(frozen=True)
class Sizes:
    """Training, the windows that are coded, and the bits that are tried."""

    train_bytes: int
    test_bytes: int
    plan: Plan
    bits: tuple[int, ...]
    windows: int
    sequence: int = 256
    shipped: bool = True


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure floats, then every number of bits, for both models."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    about = {"text": text.origin, "seed": lab.seed}
    _measure_model(lab, "byte model", lab.train(sizes.plan, text), text.test, sizes, about)
    if sizes.shipped:
        start = load_start("small")
        tokens = torch.from_numpy(start.tokenizer.encode(text.train[: 8 * CALIBRATION_WINDOWS * 512])).long()
        windows = tokens[: len(tokens) // 512 * 512].view(-1, 512)[:CALIBRATION_WINDOWS]
        shipped = Trained(start.model.eval(), start.tokenizer, windows, 0, 0.0, "small")
        _measure_model(lab, "shipped small", shipped, text.test, sizes, about)


def _measure_model(lab: Lab, name: str, trained: Trained, data: bytes, sizes: Sizes, about: dict[str, Any]) -> None:
    tokens = torch.from_numpy(trained.tokenizer.encode(data)).long()
    count = min(sizes.windows, len(tokens) // sizes.sequence)
    windows = tokens[: count * sizes.sequence].view(count, sizes.sequence)
    lengths = torch.tensor([len(token) for token in trained.tokenizer.vocabulary])
    size = int(lengths[windows].sum())
    known = facts(trained) if trained.tokens else {"parameters": trained.parameters}
    about = {
        **about, **known, "model": name, "bytes": size,
        "context": f"windows of {sizes.sequence} tokens, each from the start token",
    }  # fmt: skip
    lab.notice(f"{name}: floats")
    lab.measure(
        f"{name}, float", lambda: {"weight_bits": 32, "bpb": float_bits(trained.model, windows) / size, **about}
    )
    for bits in sizes.bits:
        lab.notice(f"{name}: {bits} bits a weight")
        lab.measure(
            f"{name}, {bits} bits",
            lambda bits=bits: {"weight_bits": bits, **_export(trained, bits, windows, size), **about},  # type: ignore[misc]
        )


def _export(trained: Trained, bits: int, windows: Tensor, size: int) -> dict[str, Any]:
    model = trained.export(bits)
    file = model_to_bytes(model)
    return {
        "bpb": integer_bits(IntegerTransformer(model.integer), windows) / size,
        "file_bytes": len(file),
        "packed_bytes": len(file) - saved_by_packing(model.integer, bits),
        "xz_bytes": len(lzma.compress(file, preset=9)),
    }


def saved_by_packing(integer: IntegerModel, bits: int) -> int:
    """Bytes that a file would lose if every int8 tensor whose values fit ``bits`` were packed to them."""
    top = (1 << (bits - 1)) - 1
    saved = 0
    for tensor in integer.tensors().values():
        if tensor.dtype == torch.int8 and int(tensor.int().abs().max()) <= top:
            saved += tensor.numel() - -(-tensor.numel() * bits // 8)
    return saved


def _models(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["model"] for row in rows))


def tables(rows: Rows) -> Sequence[Table]:
    """One table for each model."""
    heads: tuple[str, ...] = ("bits a weight", "bits per byte", "against float", "file", "packed", "file through xz")
    heads += tuple(f"adjusted, {size / 1e6:,.0f} MB" for size in _CORPORA[1:3])
    parts = []
    for model in _models(rows):
        found = select(rows, model=model)
        cells = tuple(
            (
                "float" if row["weight_bits"] == 32 else str(row["weight_bits"]),
                number(row["bpb"], 4),
                f"{percent(row['bpb'], found[0]['bpb']):+.2f} %",
                *(f"{row[name]:,}" if name in row else "-" for name in ("file_bytes", "packed_bytes", "xz_bytes")),
                *(number(_adjusted(row, size)) for size in _CORPORA[1:3]),
            )
            for row in found
        )
        parts.append(Table(f"{model}, {found[0]['parameters']:,} parameters", heads, cells))
    return parts


def _adjusted(row: Row, corpus: float) -> float | None:
    """Bits per byte with the packed file counted."""
    return float(row["bpb"]) + 8 * row["packed_bytes"] / corpus if "packed_bytes" in row else None


def figures(rows: Rows) -> Sequence[Figure]:
    """Loss against bits, and adjusted rate against bits."""
    loss = tuple(
        Series(
            model,
            tuple(
                (float(row["weight_bits"]), percent(row["bpb"], select(rows, model=model)[0]["bpb"]))
                for row in select(rows, model=model)
                if row["weight_bits"] != 32
            ),
        )
        for model in _models(rows)
    )
    return (
        Figure(
            "precision-loss", "What fewer bits per weight cost, without training after export", "bits a weight",
            "% more bits than in float", loss, "line", from_zero=False,
        ),
    )  # fmt: skip


def conclude(rows: Rows) -> Sequence[str]:
    """Say what 8 and 4 bits cost, and from which corpus size on more bits pay."""
    said = []
    for model in _models(rows):
        found = {row["weight_bits"]: row for row in select(rows, model=model)}
        tried = sorted((bits for bits in found if bits != 32), reverse=True)
        losses = ", ".join(f"{bits} bits {percent(found[bits]['bpb'], found[32]['bpb']):+.2f} %" for bits in tried)
        said.append(f"{model}: against float, {losses}.")
        if {8, 4} <= set(found):
            said.append(_eight_or_four(model, found[8], found[4]))
        kept = [(size, min(tried, key=lambda bits: _adjusted(found[bits], size) or 0.0)) for size in _CORPORA]
        words = ", ".join(f"{bits} for {size / 1e6:,.0f} MB" for size, bits in kept)
        said.append(f"{model}: with the packed file counted, the best bits a weight are {words}.")
    return said


def _eight_or_four(model: str, eight: Row, four: Row) -> str:
    saved, lost = eight["packed_bytes"] - four["packed_bytes"], four["bpb"] - eight["bpb"]
    if lost <= 0:
        return f"{model}: four bits cost nothing here and save {saved:,} bytes."
    return (
        f"{model}: four bits instead of eight save {saved:,} bytes of weights and cost {lost:.3f} bits per byte, so "
        f"eight pay from {8 * saved / lost / 1e6:,.1f} MB of text on (packed by xz, the four-bit file is "
        f"{change(four['xz_bytes'], eight['xz_bytes'])})."
    )


STUDY = Study(
    name="precision",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 80, "full": 900},
    sizes={
        "quick": Sizes(QUICK_TEXT, 32_000, QUICK, (8, 6, 4, 3), 12),
        "full": Sizes(FULL_TEXT, 512_000, FULL, (8, 7, 6, 5, 4, 3, 2), 100, 512),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
)
