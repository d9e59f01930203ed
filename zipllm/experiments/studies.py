"""The studies by name. A study is imported when it is asked for: most of them need torch."""

import importlib

from zipllm.errors import UsageError
from zipllm.experiments.study import Study
from zipllm.train.recipe import nearest

NAMES = (
    "predictors",
    "context",
    "precision",
    "modality",
    "scaling",
    "tokenizer",
    "skill",
    "transfer",
    "pretraining",
)
"""In the order in which ``all`` runs them: models that one trains are there for the next."""


def find_study(name: str) -> Study:
    """Return a study.

    Raises:
        UsageError: there is none of that name; the message has the nearest one.
    """
    if name not in NAMES:
        raise UsageError(f"no study called {name!r}{nearest(name, NAMES)}")
    study: Study = importlib.import_module(f"zipllm.experiments.{name}").STUDY
    return study
