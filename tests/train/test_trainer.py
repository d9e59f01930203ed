"""The loop: it learns, it resumes bit for bit, it stops when asked, and it refuses what cannot work."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from zipllm.errors import FileError, UsageError
from zipllm.model.transformer import Transformer
from zipllm.train.checkpoint import checkpoints, load_model
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


def same_weights(one: Transformer, other: Transformer) -> bool:
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
    assert [folder.name for folder in checkpoints(trainer.run)] == ["step-000048", "step-000064"]
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
