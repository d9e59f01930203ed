"""The studies. To add one, write a module with a ``Study`` called ``STUDY`` and add its name to ``NAMES``.

predictors   which predictor, in front of the same coder
context      what context is worth, by window and by position
precision    how many bits a weight needs
modality     how models of text fare on other data
scaling      parameters and data against bits per byte, and against the size of the model file
tokenizer    bytes or byte pairs, at equal computing
skill        ability at tasks against bits per byte, along one training
transfer     what a model of one domain knows of another
pretraining  what starting from the shipped model is worth
llm          shipped models and imported open models, by parameters
"""

import importlib
from typing import Any

from zipllm.errors import UsageError, suggestion
from zipllm.experiments.study import Study

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
    "llm",
)
"""In the order in which ``all`` runs them: later studies reuse the models of earlier ones."""


def find_study(name: str) -> Study[Any]:
    """Import a study.

    Raises:
        UsageError: no study has this name; the message suggests the nearest one.
    """
    if name not in NAMES:
        raise UsageError(f"no study called {name!r}{suggestion(name, NAMES)}")
    study: Study[Any] = importlib.import_module(f"zipllm.experiments.studies.{name}").STUDY
    return study
