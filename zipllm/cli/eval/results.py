"""The results of ``zipllm eval`` as JSON and in words.

With ``--json`` there is one object for each file and, last, one for all of them, each on a line:

command, ok         ``eval``, true: what cannot be evaluated ends the command before the first line
model, model_id     name and id of the model
file | files        the name of the file (``file_base64``: its bytes, if they are not UTF-8), or how many files
raw_bytes           size of the data, packed files unpacked, after ``--limit``
characters          code points, and one for each byte that is no part of valid UTF-8
words               runs of characters that are not white space
valid_utf8          whether every byte is part of valid UTF-8
tokens              predicted: each token of the data, not the start
blocks, lanes       into which the data was cut; each lane begins without context
bits                the sum of -log2 of the probability of every token
bits_per_token, bits_per_byte, bits_per_character, nats_per_token  cross-entropy; null where the divisor is 0
perplexity, byte_perplexity, word_perplexity  2 ** (bits / tokens, bytes, words); null also where that is not finite
limited             whether ``--limit`` left something out (of any of the files)
contaminated        why the model may have been trained on this data, or an empty text; of the total a list
seconds             wall time of the evaluation
portable            whether the numbers are the same on every machine; not those of a Hugging Face model
left_out            ids of the model that stand for no bytes and are never predicted here; 0 for models of zipllm
left_out_share      mean probability that the model gave to them, which the others get instead
context             ``block_size``, ``lanes`` (null: by the size of a block, at most ``max_lanes``), ``window`` in
                    tokens, ``limit`` in bytes (null: none)
archive_bytes, archive_bits_per_byte, archive_codings  with ``--history``: size of the archive, blocks by coding
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zipllm.bench.contamination import contamination, learned_digests, learned_names
from zipllm.cli.messages import format_size
from zipllm.codec.options import LANE_BYTES
from zipllm.measure.rates import Evaluation, total

if TYPE_CHECKING:
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.measure.raw_inputs import RawInput
    from zipllm.model_file.store import StoredModel
    from zipllm.progress import Summary

_RATES = (
    "raw_bytes characters words valid_utf8 tokens blocks lanes bits nats_per_token bits_per_token bits_per_byte "
    "bits_per_character perplexity byte_perplexity word_perplexity"
)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all files of a run share: the model, the cut into blocks and lanes, and how many bytes of each count.

    Attributes:
        name: of the model, as what follows.
        window: upper limit on the tokens that a prediction looks at; None: all before it.
        sight: a clause that says the same.
        digests: SHA-256 of the training data, as far as the card names them.
        names: of the training data.
        portable: whether the numbers are the same on every machine.
        left_out: ids that stand for no bytes.
    """

    options: "EncodeOptions"
    limit: int | None
    name: str
    model_id: bytes
    parameters: int
    window: int | None
    sight: str
    digests: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    portable: bool = True
    left_out: int = 0

    def contaminated(self, raw: "RawInput") -> str:
        """Return why the model may have been trained on this data, or an empty text."""
        return contamination(raw.item, self.digests, self.names)


def stored_setup(stored: "StoredModel", options: "EncodeOptions", limit: int | None) -> Setup:
    """Return the setup of a model file."""
    metadata = stored.summary.metadata
    return Setup(
        options=options,
        limit=limit,
        name=stored.name,
        model_id=stored.model_id,
        parameters=sum(metadata.config.parameter_counts()),
        window=metadata.config.window,
        sight=metadata.config.sight,
        digests=learned_digests(metadata.card),
        names=learned_names(metadata.card),
    )


def huggingface_setup(engine: "Engine", name: str, options: "EncodeOptions", limit: int | None) -> Setup:
    """Return the setup of a causal Hugging Face model."""
    from zipllm.huggingface.predictor import HuggingFacePredictor
    from zipllm.huggingface.tokenizer import HuggingFaceTokenizer

    predictor, tokenizer = engine.predictor, engine.tokenizer
    assert isinstance(predictor, HuggingFacePredictor), "another predictor has a model file"
    assert isinstance(tokenizer, HuggingFaceTokenizer), "they come together"
    return Setup(
        options=options,
        limit=limit,
        name=name,
        model_id=engine.model_id,
        parameters=predictor.loaded.parameters,
        window=predictor.context,
        sight=f"a full context of {predictor.context} tokens begins anew with its last {predictor.kept}",
        portable=False,
        left_out=tokenizer.left_out,
    )


@dataclass(frozen=True)
class Measured:
    """One file: the data, its evaluation, the archive's summary if one was written, seconds of the evaluation.

    ``left_out_share`` is the mean probability that the model gave to ids that stand for no bytes.
    """

    raw: "RawInput"
    evaluation: Evaluation
    archive: "Summary | None"
    seconds: float
    left_out_share: float = 0.0


def left_out_share(engine: "Engine") -> float:
    """Return the mean probability that a model gave to ids without bytes since the last call."""
    from zipllm.huggingface.predictor import HuggingFacePredictor

    return engine.predictor.left_out_share() if isinstance(engine.predictor, HuggingFacePredictor) else 0.0


def evaluation_json(files: Sequence[Measured], setup: Setup, *, whole: bool) -> dict[str, object]:
    """Return the object of one file, or of the ``whole``: all files together."""
    options = setup.options
    evaluation = total(measured.evaluation for measured in files)
    reasons = [setup.contaminated(measured.raw) for measured in files]
    return {
        "command": "eval",
        **({"files": len(files)} if whole else {"file": files[0].raw.name}),
        "ok": True,
        "model": setup.name,
        "model_id": setup.model_id.hex(),
        "portable": setup.portable,
        "left_out": setup.left_out,
        **{name: getattr(evaluation, name) for name in _RATES.split()},
        "limited": any(measured.raw.cut for measured in files),
        "contaminated": [reason for reason in reasons if reason] if whole else reasons[0],
        "seconds": round(sum(measured.seconds for measured in files), 3),
        "left_out_share": mean_left_out(files),
        "context": {
            "block_size": options.block_size,
            "lanes": options.lanes,
            "max_lanes": options.max_lanes,
            "window": setup.window,
            "limit": setup.limit,
        },
        **_archives_json(files),
    }


def context_text(setup: Setup) -> str:
    """Say in which context the model predicted the tokens."""
    options = setup.options
    if options.lanes:
        lanes = f"each cut into {options.lanes} lane{'s' if options.lanes > 1 else ''}"
    else:
        lanes = f"each cut into lanes: one below {format_size(2 * LANE_BYTES)}, then one per {format_size(LANE_BYTES)}"
        lanes += f", at most {options.max_lanes}"
    return (
        f"Context: as in an archive. Blocks of up to {format_size(options.block_size)}, {lanes}. A lane begins with "
        f"the start token and nothing before it; {setup.sight}."
    )


def mean_left_out(files: Sequence[Measured]) -> float:
    """Return the mean probability that went to ids without bytes, over the tokens of all files."""
    tokens = sum(measured.evaluation.tokens for measured in files)
    lost = sum(measured.left_out_share * measured.evaluation.tokens for measured in files)
    return lost / tokens if tokens else 0.0


def archive_bytes(files: Sequence[Measured]) -> int | None:
    """Return the size of the archives of all files; None if none were written."""
    sizes = [measured.archive.coded_bytes for measured in files if measured.archive is not None]
    return sum(sizes) if sizes else None


def _archives_json(files: Sequence[Measured]) -> dict[str, object]:
    size, raw = archive_bytes(files), sum(measured.evaluation.raw_bytes for measured in files)
    if size is None:
        return {}
    codings = sum((Counter(measured.archive.codings) for measured in files if measured.archive), Counter[str]())
    return {
        "archive_bytes": size,
        "archive_bits_per_byte": 8 * size / raw if raw else None,
        "archive_codings": dict(sorted(codings.items())),
    }
