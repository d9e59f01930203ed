"""A predictor that hands over only what coding needs gives the same archives."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.engines import TEXT, compress, decompress, named
from zipllm.codec.block import lane_groups
from zipllm.engine.engine import Engine
from zipllm.predictor.base import Selection, Traits
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.bpe import train_bpe

TOKENIZER = train_bpe([TEXT], 320)


class Selecting(NgramPredictor):
    """Remembers which tables it was asked with; what it returns is overwritten by the next call but one."""

    traits = Traits(selects=True, exact=False)

    def __init__(self) -> None:
        super().__init__(TOKENIZER.vocabulary)
        self.tables: list[NDArray[np.int32]] = []
        self._returned = [np.zeros(0, dtype=np.int32)] * 2

    def predict(self, *arguments: Any, selection: Selection | None = None, **options: Any) -> NDArray[np.int32]:
        result = super().predict(*arguments, selection=selection, **options)
        if selection is not None:
            self.tables.append(selection.columns)
            self._returned.append(result)
            self._returned.pop(0)[:] = -1
        return result


def engine_of(predictor: NgramPredictor) -> Engine:
    return Engine(named("selecting"), TOKENIZER, predictor)


@pytest.mark.parametrize("history_bits", [None, 14])
@pytest.mark.parametrize("lanes", [1, 3, 40])
def test_archives_are_the_same(lanes: int, history_bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_groups, "MAX_CHUNK_STEPS", 5)
    selecting = Selecting()
    archives = [
        compress(TEXT, engine_of(predictor), lanes=lanes, history_bits=history_bits)
        for predictor in (NgramPredictor(TOKENIZER.vocabulary), selecting)
    ]
    assert archives[0] == archives[1]
    assert decompress(archives[1], engine_of(NgramPredictor(TOKENIZER.vocabulary))) == TEXT
    assert len(selecting.tables) > 1
    assert len({id(table) for table in selecting.tables}) == 1  # so that a device can keep it


def test_a_table_that_would_be_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_groups, "MAX_COLUMNS", 1000)
    selecting = Selecting()
    compress(TEXT, engine_of(selecting))
    assert selecting.tables == []
