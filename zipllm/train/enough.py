"""Checks that there is enough data to learn from."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zipllm.data.windows import TOKEN_DTYPE, TokenSource
from zipllm.errors import UsageError
from zipllm.model.config import NetworkConfig
from zipllm.tokenizer import Tokenizer
from zipllm.train.config import TrainConfig
from zipllm.train.token_files import Kind, SourceData, token_file

_BYTE_VOCABULARY = 256
FEW_STEPS = 100
LITTLE_BYTES = 100_000
PARAMETERS_PER_TOKEN = 20


def check_not_empty(sources: Sequence[SourceData]) -> None:
    """Refuse data without a single byte. Raises ``UsageError``."""
    if not any(source.size for source in sources):
        raise UsageError("there is no training data: every source is empty")


def check_windows(run: Path, sources: Sequence[SourceData], sequence: int) -> None:
    """Require one training window of every source that is not empty. Raises ``UsageError``."""
    for source in sources:
        tokens = _count(run, "train", source.name)
        if source.size and tokens < sequence:
            needed = -(-source.size * sequence // max(1, tokens))
            smaller = "; a smaller vocabulary makes more tokens of it" if tokens * 2 < source.size else ""
            raise UsageError(
                f"{source.name} has {tokens} tokens to train on, fewer than one window of {sequence}: about "
                f"{needed:,} bytes of such data are needed instead of {source.size:,}, and a model worth having needs "
                f"a thousand times that{smaller}"
            )


def notes(
    run: Path, train: Sequence[SourceData], valid: Sequence[SourceData], sequence: int, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """Return lines for the user about data that may train worse than expected."""
    lines = []
    binary = sum(file.bytes for source in train for file in source.files if file.binary)
    total = sum(source.size for source in train)
    if 2 * binary > total and len(tokenizer.vocabulary) > _BYTE_VOCABULARY:
        lines.append("most of the data looks binary (it has zero bytes): --vocabulary 256, bytes, may suit it better")
    ignored = [file.name for source in (*train, *valid) for file in source.files if file.ignored]
    if ignored:
        names = ", ".join(dict.fromkeys(ignored))
        lines.append(f"bytes after the packed content are left out, as gzip and bzip2 do: {names:.200}")
    passed_over = [str(path) for source in (*train, *valid) for path in source.passed_over]
    if passed_over:
        names = ", ".join(dict.fromkeys(passed_over))
        lines.append(f"training runs and models are no data and are passed over: {names:.200}")
    short = [source.name for source in valid if _count(run, "valid", source.name) < sequence]
    if short:
        lines.append(
            f"no validation data of {', '.join(short)}: less than one window of {sequence} tokens could be held back, "
            "so nothing tells how well the model does on data it has not seen"
        )
    return tuple(lines)


def advice(
    config: TrainConfig, shape: NetworkConfig, sources: Sequence[TokenSource], tokenizer: Tokenizer
) -> list[str]:
    """Return lines for the user about a budget, data or a network that will not make a good model."""
    lines = []
    tokens = sum(len(source.tokens) for source in sources)
    per_step = config.batch * config.sequence
    steps = min(config.steps or math.inf, config.tokens / per_step if config.tokens else math.inf)
    if not config.minutes and steps < FEW_STEPS:
        lines.append(few_steps(steps, f"of {per_step:,} tokens"))
    lengths = [len(token) for token in tokenizer.vocabulary]
    little = tokens < LITTLE_BYTES  # or there are as many bytes at least
    size = sum(lengths[token] for source in sources for token in source.tokens) if little else tokens
    if size < LITTLE_BYTES:
        lines.append(
            f"{size:,} bytes are little to learn from; a model worth having needs a megabyte or more, "
            "or starts from another (--from small)"
        )
    parameters = sum(shape.parameter_counts())
    if parameters > PARAMETERS_PER_TOKEN * tokens:
        lines.append(
            f"the network has {parameters:,} parameters for {tokens:,} tokens of data: a smaller --preset or "
            "--vocabulary learns as much in less time"
        )
    return lines


def few_steps(steps: float, size: str) -> str:
    """Return a line about a budget of too few steps."""
    return f"the budget allows about {steps:,.0f} steps {size}, and a model learns little in fewer than {FEW_STEPS}"


def noting_slow_steps(
    should_stop: Callable[[], bool], minutes: float, note: Callable[[str], None]
) -> Callable[[], bool]:
    """Return ``should_stop`` such that it notes, after two steps, that a budget of minutes allows too few of them."""
    times: list[float] = []

    def ask() -> bool:
        if minutes and len(times) < 2:
            times.append(time.perf_counter())
            steps = 60 * minutes / (times[-1] - times[0]) if len(times) == 2 else math.inf
            if steps < FEW_STEPS:
                note(few_steps(steps, f"of {times[1] - times[0]:.2g} s"))
        return should_stop()

    return ask


def _count(run: Path, kind: Kind, name: str) -> int:
    return token_file(run, kind, name).stat().st_size // TOKEN_DTYPE.itemsize
