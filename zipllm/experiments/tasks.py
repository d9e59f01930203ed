"""Two kinds of tasks for byte models: which word was left out, and to which class a text belongs."""

import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zipllm.classify.documents import Document, Splits, read_documents
from zipllm.data.local import Places
from zipllm.experiments.training import Trained

WINDOW = 128
"""Bytes that a model sees of a question or of a text to classify."""
CHOICES = 4
Questions = NDArray[np.int64]
"""Bytes ``[questions, CHOICES, WINDOW]``; choice 0 is the true one."""
_AFTER = 24
"""Bytes after the omitted word."""
_WORD = re.compile(rb"(?<= )[a-z]{5,8}(?= )")
_RIDGE = 1.0
_BATCH = 64


def cloze(text: bytes, count: int, seed: int) -> Questions:
    """Make up to ``count`` questions: a word of the text in its place, or others of its length from the same text."""
    found = [match for match in _WORD.finditer(text) if WINDOW <= match.end() + _AFTER <= len(text)]
    words = sorted({match[0] for match in found})
    by_length = {length: [word for word in words if len(word) == length] for length in {*map(len, words)}}
    generator = np.random.default_rng(seed)
    questions: list[list[list[int]]] = []
    for place in generator.permutation(len(found)):
        match = found[place]
        others = [word for word in by_length[len(match[0])] if word != match[0]]
        if len(others) >= CHOICES - 1 and len(questions) < count:
            wrong = [others[i] for i in generator.choice(len(others), CHOICES - 1, replace=False)]
            end = match.end() + _AFTER
            before, after = text[end - WINDOW : match.start()], text[match.end() : end]
            questions.append([list(before + word + after) for word in (match[0], *wrong)])
    return np.array(questions, np.int64).reshape(-1, CHOICES, WINDOW)


@torch.no_grad()
def cloze_accuracy(trained: Trained, questions: Questions) -> float:
    """Return how often the true word is the cheapest for a byte model; ties count as wrong."""
    costs = []
    for batch in torch.from_numpy(questions).reshape(-1, WINDOW).split(_BATCH):
        logits = trained.model(batch[:, :-1])
        costs.append(functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none").sum(1))
    cost = torch.cat(costs).view(-1, CHOICES)
    return float((cost[:, 0] < cost[:, 1:].min(1).values).double().mean())


def find_tasks(places: Places, names: tuple[str, ...], train: int, test: int) -> dict[str, Splits]:
    """Return task sets of a data folder: ``tasks/NAME/train.jsonl*`` and ``test.jsonl*``, with ``text`` and ``label``.

    Each part is cut to ``train`` or ``test`` examples at equal distances, since such files may be sorted by label.
    Raises ``CorruptData`` or ``FileError``.
    """
    found = {}
    for name in names:
        for folder in places.folders:
            paths = [next((folder / "tasks" / name).glob(f"{part}.jsonl*"), None) for part in ("train", "test")]
            if paths[0] and paths[1] and name not in found:
                found[name] = Splits(_spread(read_documents(paths[0]), train), _spread(read_documents(paths[1]), test))
    return found


def _spread(documents: list[Document], count: int) -> list[Document]:
    return documents[:: max(1, len(documents) // count)][:count]


def probe_accuracy(trained: Trained, task: Splits) -> float:
    """Return the accuracy of a linear classifier (ridge regression on one-hot labels) on mean activations."""
    features, tests = (_features(trained, part) for part in (task.train, task.test))
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    inputs = np.c_[(features - mean) / deviation, np.ones(len(features))]
    wanted = np.eye(len(task.labels))[task.train_labels]
    weights = np.linalg.solve(inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1]), inputs.T @ wanted)
    guesses = (np.c_[(tests - mean) / deviation, np.ones(len(tests))] @ weights).argmax(1)
    return float(np.mean(guesses == task.truth))


def majority(task: Splits) -> float:
    """Return the accuracy of the most frequent label of the training part."""
    return float(np.mean(task.truth == np.bincount(task.train_labels).argmax()))


@torch.no_grad()
def _features(trained: Trained, texts: list[bytes]) -> NDArray[np.float64]:
    """Return mean activations over the first ``WINDOW`` bytes, float64 ``[texts, width]``."""
    parts = []
    for begin in range(0, len(texts), _BATCH):
        batch = [text[:WINDOW] or b" " for text in texts[begin : begin + _BATCH]]
        lengths = torch.tensor([len(text) for text in batch])
        tokens = torch.tensor([list(text.ljust(WINDOW)) for text in batch])
        inside = (torch.arange(WINDOW) < lengths[:, None]).unsqueeze(-1)
        hidden: Tensor = trained.model.hidden(tokens)
        parts.append((hidden * inside).sum(1) / lengths[:, None])
    return torch.cat(parts).double().numpy()
