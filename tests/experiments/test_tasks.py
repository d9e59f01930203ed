"""Tasks and media of the studies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zipllm.classify.documents import Document, Splits
from zipllm.data.local import Places
from zipllm.errors import CorruptData
from zipllm.experiments.media import SPECIAL, find_media, read_gray, special_size
from zipllm.experiments.studies.skill import correlation
from zipllm.experiments.tasks import CHOICES, WINDOW, cloze, cloze_accuracy, find_tasks, majority, probe_accuracy
from zipllm.experiments.training import Plan, Trained
from zipllm.model.architecture import architecture_of
from zipllm.model.transformer.float_form import Transformer
from zipllm.tokenizer import ByteTokenizer

TEXT = b" ".join(
    b"the %s went over the %s" % (a, b) for a in (b"house", b"horse", b"river") for b in (b"plain", b"table")
)


@pytest.fixture(scope="module")
def untrained() -> Trained:
    torch.manual_seed(0)
    model = Transformer(Plan(32, 1, 1, window=32).model_config(256)).eval()
    return Trained(model, ByteTokenizer(), torch.zeros(1, 8).long(), 1, 0.0, "nothing")


def test_questions_differ_in_one_word_only() -> None:
    text = TEXT * 4
    questions = cloze(text, 10, 0)
    assert questions.shape == (10, CHOICES, WINDOW)
    for question in questions:
        choices = {bytes(choice.tolist()) for choice in question}
        assert len(choices) == CHOICES
        assert bytes(question[0].tolist()) in text
        assert (question != question[0]).any(0).sum() <= 8
    assert (cloze(text, 10, 0) == questions).all()
    assert len(cloze(b"short", 10, 0)) == 0


def test_an_untrained_model_fails_the_cloze_test(untrained: Trained) -> None:
    """Fresh weights give every byte the same probability, so all choices cost the same."""
    assert cloze_accuracy(untrained, cloze(TEXT * 20, 50, 1)) == 0.0


def test_a_fitted_model_passes_the_cloze_test(untrained: Trained) -> None:
    questions = cloze(TEXT * 20, 20, 1)
    wrong = questions[:, [1, 0, 2, 3]]
    model = architecture_of(untrained.model.config).float_form(untrained.model.config)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    truth = torch.from_numpy(questions[:, 0])
    for _ in range(30):
        logits = model(truth[:, :-1])
        torch.nn.functional.cross_entropy(logits.transpose(1, 2), truth[:, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad()
    fitted = Trained(model.eval(), ByteTokenizer(), untrained.calibration, 1, 0.0, "toy")
    assert cloze_accuracy(fitted, questions) > 0.5 > cloze_accuracy(fitted, wrong)


def test_a_probe_separates_classes(untrained: Trained) -> None:
    letters = [Document(b"abc " * (1 + i % 7), "letters") for i in range(30)]
    digits = [Document(b"123 " * (1 + i % 5), "digits") for i in range(30)]
    examples = [each for pair in zip(digits, letters, strict=True) for each in pair]
    assert probe_accuracy(untrained, Splits(examples[:40], examples[40:])) == 1.0
    blind = Splits(*([replace(each, text=b"same") for each in part] for part in (examples[:40], examples[40:])))
    assert probe_accuracy(untrained, blind) == majority(blind)


def test_a_task_file_with_other_members_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tasks" / "x").mkdir(parents=True)
    for part in ("train", "test"):
        (tmp_path / "tasks" / "x" / f"{part}.jsonl").write_text('{"sentence": "a"}\n')
    with pytest.raises(CorruptData, match=r"train\.jsonl"):
        find_tasks(Places((tmp_path,)), ("x",), 10, 10)
    assert find_tasks(Places((tmp_path,)), ("y",), 10, 10) == {}


def test_correlation_of_constants_is_undefined() -> None:
    assert correlation([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]) == pytest.approx(-1)
    assert correlation([(1.0, 3.0), (2.0, 2.0)]) is None
    assert correlation([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]) is None


def test_reads_gray_pictures() -> None:
    pixels = read_gray(b"P5 3 2 255\n" + bytes(range(6)))
    assert pixels.tolist() == [[0, 1, 2], [3, 4, 5]]
    for wrong in (b"P6 3 2 255\n" + bytes(18), b"P5 3 2 255\n" + bytes(5), b""):
        with pytest.raises(CorruptData):
            read_gray(wrong)


@pytest.mark.parametrize(("kind", "module"), [("image", "PIL.Image"), ("audio", "soundfile")])
def test_special_codecs_restore_their_input(kind: str, module: str) -> None:
    pytest.importorskip(module)
    (name,) = SPECIAL[kind]
    smooth = (1000 * np.sin(np.arange(8192) / 50)).astype("<i2").tobytes() if kind == "audio" else bytes(128) * 128
    assert special_size(name, smooth) < len(smooth) / 2


def test_a_folder_without_media(tmp_path: Path) -> None:
    assert all(find_media(kind, Places((tmp_path,)), 1000) is None for kind in ("image", "audio", "dna"))
