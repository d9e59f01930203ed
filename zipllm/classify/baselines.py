"""Baselines for labels by compression: the most frequent label, and a linear model of weighted word counts."""

import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import UsageError, import_extra

_MISSING = "it needs scikit-learn, which is not installed: pip install 'zipllm[classify]'"
_LOOKED_AT = 200
"""Leading characters of each text that decide between words and characters."""

_UNSPACED = 0.1
"""Count characters instead of words if more than this share of the letters belong to scripts without spaces."""

Label = Callable[[Sequence[bytes]], NDArray[np.float64]]
"""From texts to the chance of each label, float64 ``[texts, labels]``."""


def majority_chances(truth: NDArray[np.int64], texts: int, count: int) -> NDArray[np.float64]:
    """Return the most frequent training label (int64 ``[m]``) for every text; the first one if several tie."""
    return np.eye(count)[np.full(texts, np.bincount(truth).argmax())]


def linear_model(train: Sequence[bytes], labels: NDArray[np.int64], count: int, seed: int) -> Label:
    """Fit TF-IDF with logistic regression on words, or on one and two characters in scripts without spaces.

    Args:
        train: training texts; bytes that are not UTF-8 are replaced.
        labels: int64 ``[m]``.
        count: number of labels.
        seed: of the solver.

    Raises:
        MissingPackage: scikit-learn is not installed.
        UsageError: the texts have no word or character to count.
    """
    features = import_extra("sklearn.feature_extraction.text", _MISSING)
    linear = import_extra("sklearn.linear_model", _MISSING)
    known = [text.decode("utf-8", "replace") for text in train]
    units: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 2)} if unspaced(known) else {}
    vectors = features.TfidfVectorizer(sublinear_tf=True, **units)
    model = linear.LogisticRegression(max_iter=1000, C=10.0, random_state=seed)
    try:
        counts = vectors.fit_transform(known)
    except ValueError as error:  # an empty vocabulary
        raise UsageError(f"it finds nothing to count in the training texts ({error})") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: the baseline may stop after 1000 rounds
        model.fit(counts, labels)

    def label(texts: Sequence[bytes]) -> NDArray[np.float64]:
        found: NDArray[np.int64] = model.predict(vectors.transform([text.decode("utf-8", "replace") for text in texts]))
        return np.eye(count)[found]

    return label


def unspaced(texts: Sequence[str]) -> bool:
    """Whether texts are in a script without spaces between words, such as Chinese, Japanese or Thai."""
    letters = [character for text in texts for character in text[:_LOOKED_AT] if character.isalpha()]
    return sum(unicodedata.category(letter) == "Lo" for letter in letters) > _UNSPACED * len(letters)
