"""The model that ``zipllm eval`` evaluates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zipllm.bench.contamination import learned_digests, learned_names

if TYPE_CHECKING:
    from zipllm.engine.engine import Engine
    from zipllm.model_file.store import StoredModel


@dataclass(frozen=True)
class Subject:
    """The model that is evaluated.

    Attributes:
        name: what to call it.
        model_id: 32 bytes.
        parameters: how many it has.
        window: upper limit on the tokens that a prediction looks at; None: all before it.
        sight: a clause that says the same.
        digests: SHA-256 of its training data, as far as its card names them.
        names: of its training data.
        portable: whether its numbers are the same on every machine.
        left_out: ids that stand for no bytes.
    """

    name: str
    model_id: bytes
    parameters: int
    window: int | None
    sight: str
    digests: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    portable: bool = True
    left_out: int = 0


def stored_subject(stored: "StoredModel") -> Subject:
    """Return the facts about a model file."""
    metadata = stored.summary.metadata
    return Subject(
        name=stored.name,
        model_id=stored.model_id,
        parameters=sum(metadata.config.parameter_counts()),
        window=metadata.config.window,
        sight=metadata.config.sight,
        digests=learned_digests(metadata.card),
        names=learned_names(metadata.card),
    )


def huggingface_subject(engine: "Engine", name: str) -> Subject:
    """Return the facts about a causal Hugging Face model."""
    from zipllm.huggingface.predictor import HuggingFacePredictor
    from zipllm.huggingface.tokenizer import HuggingFaceTokenizer

    predictor, tokenizer = engine.predictor, engine.tokenizer
    assert isinstance(predictor, HuggingFacePredictor), "another predictor has a model file"
    assert isinstance(tokenizer, HuggingFaceTokenizer), "they come together"
    return Subject(
        name=name,
        model_id=engine.model_id,
        parameters=predictor.loaded.parameters,
        window=predictor.context,
        sight=f"a full context of {predictor.context} tokens begins anew with its last {predictor.kept}",
        portable=False,
        left_out=tokenizer.left_out,
    )


def left_out_share(engine: "Engine") -> float:
    """Return the mean probability that a model gave to ids without bytes since the last call."""
    from zipllm.huggingface.predictor import HuggingFacePredictor

    return engine.predictor.left_out_share() if isinstance(engine.predictor, HuggingFacePredictor) else 0.0
