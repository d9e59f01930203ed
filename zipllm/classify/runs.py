"""Methods and baselines on one pair of splits, as rows of one table."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from zipllm.bench.codecs import open_codec, with_defaults
from zipllm.bench.protocol import Spec
from zipllm.classify import baselines
from zipllm.classify.class_costs import Prime, class_coder
from zipllm.classify.continued import Advance
from zipllm.classify.documents import Splits
from zipllm.classify.ncd import distances
from zipllm.classify.votes import Scores, least_chances, neighbor_chances, score
from zipllm.errors import UsageError


@dataclass(frozen=True)
class Row:
    """The result of one method.

    Attributes:
        method: ``majority``, ``tfidf``, ``ncd`` or ``class``.
        codec: with its settings; empty for baselines.
        k: neighbors that vote; 0 for methods without neighbors.
        tune_steps: training steps on each class.
        scores: accuracy and the like.
        prepare_seconds: wall time before the first text: training, or coding the texts of the classes.
        seconds: wall time for all texts after that.
    """

    method: str
    codec: str
    k: int
    tune_steps: int
    scores: Scores
    prepare_seconds: float
    seconds: float


@dataclass(frozen=True)
class Method:
    """A method with its codec, which opens early so that errors show before anything runs.

    Attributes:
        name: ``ncd`` or ``class``.
        spec: the codec and its settings.
        rows: labels the test texts and yields a row for every number of neighbors, or one row without neighbors.
    """

    name: str
    spec: Spec
    rows: Callable[[Splits, Advance], Iterator[Row]]


def open_method(name: str, spec: Spec, ks: Sequence[int], tune_steps: int) -> Method:
    """Open the codec of a method.

    Args:
        name: ``ncd`` or ``class``.
        spec: the codec and its settings.
        ks: numbers of neighbors, for ``ncd``.
        tune_steps: training steps on each class, for ``class``.

    Raises:
        UsageError: the codec or a setting is unknown or does not fit the method.
        ZipllmError: the codec cannot be opened.
    """
    spec = with_defaults(spec)
    if name == "class":
        return Method(name, spec, partial(_class_rows, spec, class_coder(spec, tune_steps), tune_steps))
    if tune_steps:
        raise UsageError("--fine-tune is for --method class: neighbors have no model to train")
    return Method(name, spec, partial(_ncd_rows, spec, open_codec(spec).compress, ks))


def baseline_rows(splits: Splits, seed: int) -> Iterator[Row]:
    """Yield the rows of the baselines; raises as ``linear_model`` behind the first one, the most frequent label."""
    count, texts = len(splits.labels), len(splits.test)
    begun = time.perf_counter()
    chances = baselines.majority_chances(splits.train_labels, texts, count)
    yield Row("majority", "", 0, 0, score(splits.truth, chances), 0.0, time.perf_counter() - begun)
    begun = time.perf_counter()
    label = baselines.linear_model(splits.train, splits.train_labels, count, seed)
    fitted = time.perf_counter()
    chances = label(splits.test)
    seconds = time.perf_counter() - fitted
    yield Row("tfidf", "", 0, 0, score(splits.truth, chances), fitted - begun, seconds)


def _ncd_rows(
    spec: Spec, compress: Callable[[bytes], bytes], ks: Sequence[int], splits: Splits, advance: Advance
) -> Iterator[Row]:
    begun = time.perf_counter()
    found = distances(lambda data: len(compress(data)), splits.train, splits.test, advance)
    seconds = time.perf_counter() - begun
    for k in ks:
        chances = neighbor_chances(found, splits.train_labels, k, len(splits.labels))
        yield Row("ncd", str(spec), k, 0, score(splits.truth, chances), 0.0, seconds)


def _class_rows(spec: Spec, prime: Prime, tune_steps: int, splits: Splits, advance: Advance) -> Iterator[Row]:
    costs = np.full((len(splits.test), len(splits.labels)), np.inf)
    longest, prepared, seconds = max(map(len, splits.test)), 0.0, 0.0
    classes = np.unique(splits.train_labels).tolist()
    for done, label in enumerate(classes):
        texts = [text for text, own in zip(splits.train, splits.train_labels.tolist(), strict=True) if own == label]

        def within(part: float, done: int = done) -> None:
            advance((done + part) / len(classes))

        begun = time.perf_counter()
        with prime(texts, longest) as measure:
            primed = time.perf_counter()
            costs[:, label] = measure(splits.test, within)
        prepared, seconds = prepared + primed - begun, seconds + time.perf_counter() - primed
    yield Row("class", str(spec), 0, tune_steps, score(splits.truth, least_chances(costs)), prepared, seconds)
