"""When training goes through torch.compile."""

import math
from dataclasses import replace

import pytest
import torch

from tests.train.conftest import MakeTrainer
from zipllm.errors import UsageError
from zipllm.train import compiler
from zipllm.train.compiler import Probe, decide_compiler

pytestmark = pytest.mark.filterwarnings("ignore")  # the compiler warns about itself


def measured(monkeypatch: pytest.MonkeyPatch, plain: float, compiled: float) -> None:
    """Let a pass take so many seconds in each form."""
    monkeypatch.setattr(compiler, "time_plain", lambda _loss, _windows: Probe(plain))
    monkeypatch.setattr(compiler, "time_compiled", lambda _loss, _windows, _probe: Probe(plain, compiled, 20.0))


@pytest.mark.parametrize(
    ("plain", "compiled", "used", "told"),
    [(100.0, 50.0, True, ": used"), (100.0, 200.0, False, ": not used"), (0.001, 0.0001, False, "")],
    ids=["faster", "slower", "a short run"],
)
def test_measured(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, plain: float, compiled: float, used: bool, told: str
) -> None:
    measured(monkeypatch, plain, compiled)
    trainer, notes = make_trainer(compile="auto"), list[str]()
    decide_compiler(trainer, notes.append)
    assert trainer.state.compiled is used
    assert told in "".join(notes)
    assert len(notes) == bool(told)


@pytest.mark.parametrize("setting", ["on", "off"])
def test_as_configured_without_measuring(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    measured(monkeypatch, math.inf, 50.0)
    monkeypatch.setattr(compiler, "time_plain", lambda *_: pytest.fail("measured"))
    trainer = make_trainer(compile=setting)
    decide_compiler(trainer, pytest.fail)
    assert trainer.state.compiled is (setting == "on")


def test_a_choice_by_the_clock_is_not_deterministic(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 100.0, 50.0)
    trainer = make_trainer(compile="auto", deterministic=True)
    decide_compiler(trainer, pytest.fail)
    assert trainer.state.compiled is False


@pytest.mark.parametrize(
    ("setting", "works", "used"),
    [("auto", True, True), ("auto", False, False), ("off", True, False), ("on", True, True), ("on", False, None)],
)
def test_a_resumed_run_that_was_compiled(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, setting: str, works: bool, used: bool | None
) -> None:
    trainer, notes = make_trainer(compile=setting), list[str]()
    trainer.state = replace(trainer.state, compiled=True)
    probe = Probe(math.inf, 1.0) if works else Probe(math.inf, problem="no C++ compiler")
    monkeypatch.setattr(compiler, "time_plain", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(compiler, "time_compiled", lambda *_: probe)
    if used is None:
        with pytest.raises(UsageError, match=r"does not work here; --compile off .*no C\+\+ compiler"):
            decide_compiler(trainer, notes.append)
        return
    decide_compiler(trainer, notes.append)
    assert trainer.state.compiled is used
    assert len(notes) == (not works)


def test_decided_once(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(compile="auto")
    trainer.use_compiler(False)
    measured(monkeypatch, 100.0, 50.0)
    decide_compiler(trainer, pytest.fail)
    assert trainer.state.compiled is False


def test_a_compiler_that_does_not_work(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> object:
        def fails(*_: object) -> None:
            raise RuntimeError("no compiler here")

        return fails

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(compiler, "COMPILE_FROM_SECONDS", 0.0)
    trainer, notes = make_trainer(compile="auto"), list[str]()
    decide_compiler(trainer, notes.append)
    assert trainer.state.compiled is False
    assert notes == ["torch.compile does not work here, training goes on without it (RuntimeError: no compiler here)"]
    trainer.train(lambda report: None)
    assert trainer.is_finished()


def test_what_is_compiled_stays_so_until_it_is_switched_off(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def compile_nothing(function: object, **_: object) -> object:
        made.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    loss = make_trainer().loss
    for on in (True, True, False, False, True):
        loss.use_compiler(on)
    assert len(made) == 2
