"""The tables of the adaptive predictor are what they say, and the prior is the one of the format."""

import hashlib
import math
from importlib import resources

import numpy as np
import pytest

import zipllm.container
from zipllm.container.block import LEAN_MIXER, MIXERS
from zipllm.jit.compiled import COMPILES
from zipllm.mixing.memory import SHAPES, new_memory, plain_prior
from zipllm.mixing.mixer import stretch_fine
from zipllm.mixing.prior import FILES, load_prior, pack_prior
from zipllm.mixing.tables import COARSE_BITS, LIMIT, ONE_BITS, STATES, UNIT, tables

ONE = 1 << ONE_BITS


def test_squash_is_the_logistic_function() -> None:
    squash = tables().squash
    exact = [ONE / (1 + math.exp(-x / UNIT)) for x in range(-LIMIT, LIMIT + 1)]
    assert np.abs(squash - np.array(exact)).max() <= 1
    assert (np.diff(squash) >= 0).all()
    assert squash[LIMIT] == ONE // 2


def test_stretch_undoes_squash() -> None:
    constant = tables()
    for coarse in range(0, 1 << COARSE_BITS, 37):
        probability = (coarse + 0.5) / (1 << COARSE_BITS)
        assert abs(constant.stretch[coarse] - UNIT * math.log(probability / (1 - probability))) <= 1.01


def test_the_tables_never_change() -> None:
    """They are part of the format."""
    digest = hashlib.sha256(b"".join(array.tobytes() for array in tables())).hexdigest()
    assert digest == "131be301799ba1f6dd313781c074283a189249e2c8881d7930d22164436c1d1a"


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_probabilities_near_0_and_1_keep_their_meaning() -> None:
    function = getattr(stretch_fine, "py_func", stretch_fine)
    for probability in [1, 2, 3, 77, 5000, 123_456, ONE // 2 - 1, ONE // 2, ONE // 2 + 1, ONE - 77, ONE - 2, ONE - 1]:
        exact = UNIT * math.log(probability / (ONE - probability))
        assert abs(function(tables().fine, probability) - max(-LIMIT, min(LIMIT, exact))) <= 4


def test_histories_count() -> None:
    constant = tables()
    state = 0
    for number in range(1, 30):
        state = constant.following[state, 1]
        assert constant.seen[state] == number
    assert constant.initial[state] >> 10 > 0.95 * (1 << 22)
    state = constant.following[constant.following[state, 0], 0]
    assert constant.initial[state] >> 10 < 0.9 * (1 << 22)
    assert (constant.following < STATES).all()


def test_the_prior_is_the_one_of_the_format() -> None:
    document = resources.files(zipllm.container).joinpath("FORMAT.md").read_text(encoding="utf-8")
    for file in FILES.values():
        data = resources.files("zipllm.mixing").joinpath(file).read_bytes()
        assert hashlib.sha256(data).hexdigest() in document


@pytest.mark.parametrize("name", ["model", "text"])
@pytest.mark.parametrize("mixer", MIXERS)
def test_a_prior_fits_the_memory(mixer: int, name: str) -> None:
    plain, learned = plain_prior(SHAPES[mixer]), load_prior(mixer, name)
    for empty, full in zip(plain, learned, strict=True):
        assert (empty.shape, empty.dtype) == (full.shape, full.dtype)
    memory = new_memory(np.array([10]), 12, learned, SHAPES[mixer])
    assert (memory.weights == learned.weights).all()
    memory.weights[:] = 0
    assert load_prior(mixer, name).weights.any()  # a memory has a copy


def test_packing_a_prior_keeps_it_nearly() -> None:
    packed = pack_prior("model", load_prior(LEAN_MIXER, "model"))
    assert (packed["model.weights"].astype(np.int32) << 4 == load_prior(LEAN_MIXER, "model").weights).all()
    assert (packed["model.maps"][0] == load_prior(LEAN_MIXER, "model").maps >> 16).all()
