"""The folder of a run: one process at a time, no traces of another run, and checkpoints that a kill cannot tear."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.train.conftest import MakeTrainer
from zipllm.errors import FileError, UsageError
from zipllm.train.checkpoint import checkpoints, clean_checkpoints, load_best, load_model, newest_checkpoint
from zipllm.train.run_folder import check_folder, held
from zipllm.train.runlog import RunLog


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "runs/x"
    with held(run):
        with (
            pytest.raises(UsageError, match=rf"in use by process {os.getpid()} on .* since .*; --run names"),
            held(run),
        ):
            pass
        (run / "metrics.jsonl").touch()
    with held(run):
        pass
    assert (run / "metrics.jsonl").exists()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with held(tmp_path / "run"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with held(tmp_path / "run"):
        pass


def test_a_folder_in_which_nothing_was_made_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(tmp_path / "runs/deep/x"):
        raise KeyError
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileError), held(tmp_path / "file/x"):
        pass


@pytest.mark.parametrize("left", ["metrics.jsonl", "model.safetensors", "best", "step-000007"])
def test_a_new_run_does_not_begin_where_another_has_been(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    with pytest.raises(UsageError, match="holds an earlier run.*--run names another folder"):
        check_folder(tmp_path, resume=False)


@pytest.mark.parametrize("left", ["data.json", "input", "tokens", "tokenizer.json", "my notes.txt"])
def test_a_preparation_that_was_killed_is_begun_anew_or_resumed(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    check_folder(tmp_path, resume=False)
    if left in ("data.json", "input"):
        check_folder(tmp_path, resume=True)
    else:
        with pytest.raises(UsageError, match="no checkpoint to resume"):
            check_folder(tmp_path, resume=True)


class _Kill(BaseException):
    """Ends a save as SIGKILL does: nothing of zipllm runs after it."""


@pytest.mark.parametrize("same_step", [False, True])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, same_step: bool
) -> None:
    trainer = make_trainer(steps=4, save_every=0, evaluate_every=0)
    trainer.train(lambda report: None)
    shutil.copytree(trainer.run, trainer.run.with_name("before"))
    moment = 0
    while True:
        calls = iter(range(100))

        def count(real, *arguments, calls=calls, moment=moment, **options):  # type: ignore[no-untyped-def]
            if next(calls) == moment:
                raise _Kill
            return real(*arguments, **options)

        with monkeypatch.context() as patch, pytest.raises(_Kill):
            for owner, name in ((Path, "rename"), (Path, "mkdir"), (Path, "write_text"), (os, "unlink"), (os, "fsync")):
                real = getattr(owner, name)
                patch.setattr(owner, name, lambda *a, real=real, count=count, **o: count(real, *a, **o))
            trainer.state = _later(trainer, moment, same_step=same_step)
            trainer.save()
            raise _Kill
        clean_checkpoints(trainer.run)
        newest = newest_checkpoint(trainer.run, pytest.fail)
        assert newest is not None
        assert load_model(newest)[1].step in (4, trainer.state.step)
        assert load_best(newest)[1].step == 4
        assert not list(trainer.run.glob(".step-*"))
        if next(calls) <= moment:
            break
        moment += 1
    assert moment > 5


def _later(trainer, moment: int, *, same_step: bool):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(trainer.state, seconds=1e6 + moment, step=4 if same_step else 5)


def test_the_log_goes_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(f"{json.dumps({'step': step})}\n" for step in (16, 32, 48)) + '{"step": 6')
    RunLog(tmp_path, 32)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [16, 32]
    assert checkpoints(tmp_path) == []
