"""Study: how many bits does a weight need?"""

import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zipllm.bench.columns import amount
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.study import ByScale, Sizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Trained, shipped_model
from zipllm.model.architecture import architecture_of
from zipllm.model.gap import float_bits, integer_bits
from zipllm.model.parameters import IntegerParameters
from zipllm.model_file.file import model_to_bytes
from zipllm.report.figures import Figure, Series
from zipllm.train.start import load_start

_CORPORA = (1e6, 1e7, 1e8, 1e9)
"""Bytes over which the model file is spread; the table shows the middle two."""
_PACKED = "packed_bytes"


@dataclass(frozen=True)
class PrecisionSizes(Sizes):
    """The bits that are tried, and the windows that are coded."""

    bits: tuple[int, ...]
    windows: int
    sequence: int = 256
    shipped: bool = True


class Precision(Study[PrecisionSizes]):
    """Floats, then fewer and fewer bits."""

    question = "What do int8 and int4 weights cost in bits per byte, and what do they save in the file?"
    method = (
        "A byte model trained here and the shipped model are exported with fewer and fewer bits per weight and always "
        "int8 activations, without further training. Each form codes the same windows of held-out text, every window "
        "from the start token. The file holds one byte per weight whatever the bits; its size with packed weights is "
        "computed, and its size through xz is measured. The shipped model's floats are restored from its int8 form."
    )
    expected = ByScale(80, 900)
    sizes = ByScale(
        quick=PrecisionSizes(QUICK_TEXT, 32_000, QUICK, (8, 6, 4, 3), 12),
        full=PrecisionSizes(FULL_TEXT, 512_000, FULL, (8, 7, 6, 5, 4, 3, 2), 100, 512),
    )

    def run(self, lab: Lab, sizes: PrecisionSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        models = {"byte model": lab.train(sizes.plan, text)}
        if sizes.shipped:
            models["shipped small"] = shipped_model(load_start("small"), text.train, 512)
        lab.total = len(models) * (1 + len(sizes.bits))
        for name, trained in models.items():
            tokens = torch.from_numpy(trained.tokenizer.encode(text.test)).long()
            count = min(sizes.windows, len(tokens) // sizes.sequence)
            windows = tokens[: count * sizes.sequence].view(count, sizes.sequence)
            lengths = torch.tensor([len(token) for token in trained.tokenizer.vocabulary])
            size = int(lengths[windows].sum())
            about = {
                **(facts(trained) if trained.tokens else {"parameters": trained.parameters}),
                "model": name,
                "bytes": size,
                "text": text.origin,
                "context": f"windows of {sizes.sequence} tokens, each from the start token",
            }
            lab.notice(f"{name}: floats")
            lab.measure(f"{name}, float", _as_floats, trained, windows, size, **about)
            for bits in sizes.bits:
                lab.notice(f"{name}: {bits} bits a weight")
                lab.measure(f"{name}, {bits} bits", _as_integers, trained, bits, windows, size, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        return [_by_bits(model, show.select(rows, model=model)) for model in show.distinct(rows, "model")]

    def figures(self, rows: Rows) -> Sequence[Figure]:
        series = []
        for model in show.distinct(rows, "model"):
            floats, *integers = show.select(rows, model=model)
            loss = tuple((float(row["weight_bits"]), show.percent(row["bpb"], floats["bpb"])) for row in integers)
            series.append(Series(model, loss))
        return (
            Figure(
                "precision-loss", "What fewer bits per weight cost, without training after export", "bits a weight",
                "% more bits than in float", tuple(series), "line", from_zero=False,
            ),
        )  # fmt: skip

    def conclude(self, rows: Rows) -> Sequence[str]:
        said = []
        for model in show.distinct(rows, "model"):
            found = {row["weight_bits"]: row for row in show.select(rows, model=model)}
            tried = sorted((bits for bits in found if bits != 32), reverse=True)
            losses = ", ".join(
                f"{bits} bits {show.percent(found[bits]['bpb'], found[32]['bpb']):+.2f} %" for bits in tried
            )
            said.append(f"{model}: against float, {losses}.")
            if {8, 4} <= set(found):
                said.append(_eight_or_four(model, found[8], found[4]))
            best = {size: min(tried, key=lambda bits: show.adjusted(found[bits], size, _PACKED)) for size in _CORPORA}
            words = ", ".join(f"{bits} for {amount(size)}" for size, bits in best.items())
            said.append(f"{model}: with the packed file counted, the best bits a weight are {words}.")
        return said


def _by_bits(model: str, rows: Rows) -> show.Table:
    columns: dict[str, Callable[[Row], str]] = {
        "bits a weight": lambda row: "float" if row["weight_bits"] == 32 else str(row["weight_bits"]),
        "bits per byte": lambda row: show.number(row["bpb"], 4),
        "against float": lambda row: f"{show.percent(row['bpb'], rows[0]['bpb']):+.2f} %",
        "file": lambda row: show.number(row.get("file_bytes"), 0),
        "packed": lambda row: show.number(row.get(_PACKED), 0),
        "file through xz": lambda row: show.number(row.get("xz_bytes"), 0),
        **show.adjusted_columns(_CORPORA[1:3], _PACKED),
    }
    return show.table(f"{model}, {rows[0]['parameters']:,} parameters", rows, columns)


def _as_floats(trained: Trained, windows: Tensor, size: int) -> Row:
    return {"weight_bits": 32, "bpb": float_bits(trained.model, windows) / size}


def _as_integers(trained: Trained, bits: int, windows: Tensor, size: int) -> Row:
    model = trained.export(bits)
    file = model_to_bytes(model)
    network = architecture_of(model.config).reference(model.integer)
    return {
        "weight_bits": bits,
        "bpb": integer_bits(network, windows, model.config.start_token) / size,
        "file_bytes": len(file),
        _PACKED: len(file) - _saved_by_packing(model.integer, bits),
        "xz_bytes": len(lzma.compress(file, preset=9)),
    }


def _saved_by_packing(integer: IntegerParameters, bits: int) -> int:
    """Return the bytes that packing saves: every int8 tensor whose values fit ``bits`` would take these bits only."""
    top = (1 << (bits - 1)) - 1
    saved = 0
    for tensor in integer.tensors().values():
        if tensor.dtype == torch.int8 and int(tensor.int().abs().max()) <= top:
            saved += tensor.numel() - -(-tensor.numel() * bits // 8)
    return saved


def _eight_or_four(model: str, eight: Row, four: Row) -> str:
    saved, lost = eight[_PACKED] - four[_PACKED], four["bpb"] - eight["bpb"]
    if lost <= 0:
        return f"{model}: four bits cost nothing here and save {saved:,} bytes."
    return (
        f"{model}: four bits instead of eight save {saved:,} bytes of weights and cost {lost:.3f} bits per byte, so "
        f"the break-even of eight is at {amount(8 * saved / lost)} of text (through xz the four-bit file takes "
        f"{show.change(four['xz_bytes'], eight['xz_bytes'])})."
    )


STUDY = Precision()
