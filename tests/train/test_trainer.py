"""The loop: it learns, it resumes bit for bit, it stops when asked, and it refuses what cannot work."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zipllm.errors import FileError, UsageError
from zipllm.model.float_network import FloatNetwork
from zipllm.train.checkpoint import (
    checkpoint,
    checkpoints,
    load_best,
    load_model,
    newest_checkpoint,
    save_checkpoint,
    snapshot,
)
from zipllm.train.loss import sequence_nats
from zipllm.train.runlog import Report
from zipllm.train.trainer import Trainer

MakeTrainer = Callable[..., Trainer]


def ignore(report: Report) -> None:
    """Reports are not looked at."""


def bpb(trainer: Trainer) -> float:
    result = trainer.evaluate()
    assert result is not None
    assert result.by_source == {"held": result.total}
    return result.total


def same_weights(one: FloatNetwork, other: FloatNetwork) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_loss_falls(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=120)
    before = bpb(trainer)
    trainer.train(ignore)
    assert bpb(trainer) < before / 2


def test_untrained_model_costs_eight_bits_per_byte(make_trainer: MakeTrainer) -> None:
    assert bpb(make_trainer()) == pytest.approx(8.0, abs=1e-3)


def test_resume_equals_uninterrupted(make_trainer: MakeTrainer) -> None:
    whole = make_trainer("whole", steps=12)
    whole.train(ignore)
    calls = iter(range(100))
    first = make_trainer("parts", steps=12)
    first.train(ignore, lambda: next(calls) >= 5)
    assert 0 < first.state.step < 12
    second = make_trainer("parts", steps=12, resume=True)
    second.train(ignore)
    assert second.state.step == 12
    assert second.state.position == whole.state.position
    assert same_weights(whole.model, second.model)


def test_same_seed_same_weights_other_seed_others(make_trainer: MakeTrainer) -> None:
    runs = [make_trainer(f"run{number}", seed=seed, steps=3) for number, seed in enumerate((1, 1, 2))]
    for trainer in runs:
        trainer.train(ignore)
    assert same_weights(runs[0].model, runs[1].model)
    assert not same_weights(runs[0].model, runs[2].model)


def test_only_the_newest_checkpoints_stay(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=64, save_every=0)
    trainer.train(ignore)
    kept = {48, 64, trainer.state.best_step or 0}
    assert [folder.name for folder in checkpoints(trainer.run)] == [f"step-{step:06d}" for step in sorted(kept)]
    assert not list(trainer.run.glob(".*"))


def test_a_loss_that_is_not_finite_stops_the_run(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    with torch.no_grad():
        trainer.model.embedding.weight[0, 0] = float("nan")
        trainer.model.embedding.weight[ord("t")] = float("nan")
    with pytest.raises(UsageError, match="learning rates"):
        trainer.train(ignore)


def test_damaged_checkpoint_is_a_file_error(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=2)
    trainer.train(ignore)
    folder = checkpoints(trainer.run)[-1]
    for name in ("state.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(FileError, match="checkpoint"):
            load_model(folder)
        (folder / name).write_bytes(content)
    load_model(folder)


def test_chunked_loss_equals_plain_cross_entropy(make_trainer: MakeTrainer) -> None:
    model = make_trainer().model
    torch.nn.init.normal_(model.output_weight(), std=0.1)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 20)))
    plain = torch.nn.functional.cross_entropy(model(tokens).transpose(1, 2), tokens, reduction="none").sum(1)
    assert torch.allclose(sequence_nats(model, tokens, tokens), plain, rtol=1e-5)


def test_accumulated_parts_are_one_batch(make_trainer: MakeTrainer) -> None:
    runs = [make_trainer(f"run{parts}", accumulate=parts, steps=4, rounding=0.0) for parts in (1, 2, 4)]
    for trainer in runs:
        trainer.train(ignore)
    for other in runs[1:]:
        assert other.state.tokens == runs[0].state.tokens
        for one, two in zip(runs[0].model.parameters(), other.model.parameters(), strict=True):
            assert torch.allclose(one, two, atol=1e-5)


def test_the_best_weights_are_kept(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=64, evaluate_every=0, rounding=0.0)
    seen: list[float] = []
    trainer.train(lambda report: seen.append(report.valid.total if report.valid else 99.0))
    model, state = load_best(checkpoints(trainer.run)[-1])
    assert len(seen) == 4
    assert state.best == min(seen) == trainer.state.best
    assert state.step == trainer.state.best_step == 16 * (1 + seen.index(min(seen)))
    assert isinstance(model, FloatNetwork)


def test_patience_ends_a_run_that_gets_no_better(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=1000, evaluate_every=0, patience=2, rounding=0.0, warmup=0.0)
    trainer.state = replace(trainer.state, best=0.0)
    trainer.train(ignore)
    assert trainer.state.step == 32
    assert trainer.state.worse == 2


def test_token_budget(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=0, tokens=5 * 4 * 32)
    trainer.train(ignore)
    assert (trainer.state.step, trainer.state.tokens) == (5, 640)
    assert trainer.state.bytes == 640


def test_running_out_of_memory_names_the_way_out(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()

    def fail(windows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99999999 bytes.")

    monkeypatch.setattr(trainer, "_shared", fail)
    with pytest.raises(UsageError, match=r"out of memory.*train.accumulate=2"):
        trainer.train(ignore)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(steps=8)
    trainer.train(ignore)
    before = sorted(path.name for path in trainer.run.iterdir())

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zipllm.train.checkpoint.save_file", full)
    trainer.state = replace(trainer.state, seconds=1e6)
    with pytest.raises(FileError, match="No space left"):
        trainer.save()
    assert sorted(path.name for path in trainer.run.iterdir()) == before
    load_model(checkpoints(trainer.run)[-1])


def test_a_batch_that_cannot_be_shared_is_refused(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="multiple of accumulate"):
        make_trainer(accumulate=3)


def test_bfloat16_trains(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=30, precision="bf16")
    before = bpb(trainer)
    trainer.train(ignore)
    assert bpb(trainer) < before


# --------------------------------------------------------------------------- killed and resumed
def killed(trainer: Trainer, step: int) -> None:
    """Train until a step, and lose what was not saved by then."""

    def kill() -> bool:
        if trainer.state.step >= step:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        trainer.train(ignore, kill)


@pytest.mark.parametrize("step", [1, 17, 31])
@pytest.mark.parametrize("settings", [{"save_every": 1e9}, {"save_every": 0.0}, {"tokens": 32 * 4 * 32, "steps": 0}])
def test_a_killed_run_ends_in_the_same_weights(
    make_trainer: MakeTrainer, step: int, settings: dict[str, object]
) -> None:
    settings = {"steps": 32, "evaluations": 7, "rounding": 0.3} | settings
    whole = make_trainer("whole", **settings)
    whole.train(ignore)
    killed(make_trainer("parts", **settings), step)
    resumed = make_trainer("parts", resume=True, **settings)
    resumed.train(ignore)
    assert same_weights(whole.model, resumed.model)
    states = [
        (state.step, state.best, state.best_step, state.worse, state.evaluated, state.position)
        for state in (whole.state, resumed.state)
    ]
    assert states[0] == states[1]
    assert same_weights(*(load_best(checkpoints(trainer.run)[-1])[0] for trainer in (whole, resumed)))


@pytest.mark.parametrize("damage", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_the_newest_whole_checkpoint_is_resumed(
    make_trainer: MakeTrainer, tmp_path: Path, damage: str, how: str
) -> None:
    killed(make_trainer("parts", steps=48, save_every=0), 34)
    path = checkpoints(tmp_path / "parts")[-1] / damage
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    notes = list[str]()
    resumed = make_trainer("parts", steps=48, save_every=0, resume=True, note=notes.append)
    assert (resumed.state.step, len(notes)) == (16, 1)
    assert "step-000032" in notes[0]


def test_checkpoints_are_in_the_order_of_their_steps(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    for step in (999_998, 1_000_004, 1_000_020):
        save_checkpoint(trainer.run, snapshot(trainer.model, [], replace(trainer.state, step=step)))
    (trainer.run / "step-notes").mkdir()
    assert checkpoints(trainer.run) == [checkpoint(trainer.run, step) for step in (1_000_004, 1_000_020)]
    assert newest_checkpoint(trainer.run, pytest.fail) == checkpoint(trainer.run, 1_000_020)


def test_a_stopped_run_is_evaluated_where_a_whole_one_is(make_trainer: MakeTrainer) -> None:
    for stop in (15, 16, 31, 32):
        trainer = make_trainer(f"at {stop}", steps=32, evaluate_every=0)
        trainer.train(ignore, lambda trainer=trainer, stop=stop: trainer.state.step + 1 >= stop)  # type: ignore[misc]
        assert trainer.state.step == stop
        assert trainer.state.evaluated == (16 if stop > 16 else 0)
        assert not trainer.is_finished()
        again = make_trainer(f"at {stop}", steps=32, evaluate_every=0, resume=True)
        again.train(ignore)
        assert again.state.evaluated == 32
        assert again.is_finished()
