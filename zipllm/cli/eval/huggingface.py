"""What ``zipllm eval`` says of a causal Hugging Face model."""

from typing import TYPE_CHECKING

from zipllm.cli.eval.results import Subject

if TYPE_CHECKING:
    from zipllm.engine.engine import Engine


def huggingface_subject(engine: "Engine", name: str) -> Subject:
    """Return what is said of the model."""
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
