"""The tables are what the formulas say, and never change."""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import entry_from
from zipllm.media.bits import bit_length
from zipllm.media.curves import binary_logarithm, constants, mass_below, octaves

NUMBERS = [1, 2, 3, 4, 255, 256, 1000, 2047, 2048, 12345, 2**40 - 1, 2**40 + 2**27, 2**61]
Numbers = NDArray[np.int64]


@entry_from("zipllm.media")
def _masses(mass: Numbers, numbers: Numbers, found: Numbers) -> None:
    for index in range(numbers.size):
        found[index] = mass_below(mass, numbers[index])


@entry_from("zipllm.media")
def _logarithms(logarithm: Numbers, numbers: Numbers, found: Numbers) -> None:
    for index in range(numbers.size):
        found[index] = binary_logarithm(logarithm, numbers[index])


@entry_from("zipllm.media")
def _lengths_and_steps(numbers: Numbers, lengths: Numbers, steps: Numbers) -> None:
    for index in range(numbers.size):
        lengths[index] = bit_length(numbers[index])
        steps[index] = octaves(numbers[index], np.int64(4))


def test_tables_do_not_change() -> None:
    tables = constants()
    digest = hashlib.sha256(tables.mass.astype("<i8").tobytes() + tables.logarithm.astype("<i8").tobytes())
    assert digest.hexdigest() == "298364a203e2d17398e35b45677b5f14458ded0c837b7eeb7b399441e523f16f"


def test_the_logistic_distribution() -> None:
    mass = constants().mass
    expected = [2**40 / (1 + math.exp((768 - index) / 32)) for index in range(1537)]
    assert np.abs(mass[1:1536] - expected[1:-1]).max() < 1.01
    assert (mass[0], *mass[-2:]) == (0, 2**40, 2**40)
    assert (np.diff(mass) >= 0).all()


def test_masses() -> None:
    arguments = np.array([-(1 << 60), -25 << 16, -24 << 16, -70_001, 0, 211_111, 24 << 16, 25 << 16, 1 << 60])
    found = np.zeros_like(arguments)
    _masses(constants().mass, arguments, found)
    for argument, mass in zip(arguments.tolist(), found.tolist(), strict=True):
        assert abs(mass - 2**40 / (1 + math.exp(min(-argument / 65536, 700)))) <= 3e-5 * 2**40
    assert (found[0], found[4], found[-1]) == (0, 2**39, 2**40)


def test_the_logarithm() -> None:
    logarithm = constants().logarithm
    assert logarithm.tolist() == [round(2**14 * math.log2(1 + index / 1024)) for index in range(1025)]
    numbers, found = np.array(NUMBERS), np.zeros(len(NUMBERS), dtype=np.int64)
    _logarithms(logarithm, numbers, found)
    assert np.abs(found - 2**14 * np.log2(numbers)).max() < 24


def test_lengths_and_steps() -> None:
    numbers = np.array([0, *NUMBERS])
    lengths, steps = np.zeros_like(numbers), np.zeros_like(numbers)
    _lengths_and_steps(numbers, lengths, steps)
    assert lengths.tolist() == [int(number).bit_length() for number in numbers]
    assert steps.tolist() == sorted(steps)
    powers = 2 ** np.arange(60) - 1
    lengths, steps = np.zeros_like(powers), np.zeros_like(powers)
    _lengths_and_steps(powers, lengths, steps)
    assert steps.tolist() == [4 * power for power in range(60)]
