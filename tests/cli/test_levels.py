"""``-1`` to ``-9`` and their longer forms, and the model without history."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import CONTENT, CommandLine, Outcome
from zipllm.codec.encoder import compress_stream
from zipllm.codec.levels import encode_options
from zipllm.container import ArchiveHeader, ArchiveReader, ModelRecord
from zipllm.model_file.store import ModelStore


def by_level(level: int) -> bytes:
    sink = io.BytesIO()
    options = encode_options(level)
    compress_stream(io.BytesIO(CONTENT), sink, engine=None, options=options, original_size=None)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("flags", "level"), [(["-1"], 1), (["--fast"], 1), (["--level", "2"], 2), (["-3"], 3), (["--level=3"], 3)]
)
def test_levels_without_a_model(zipllm: CommandLine, flags: list[str], level: int) -> None:
    assert zipllm("compress", "-q", *flags, "a").error == (0, "")
    assert (zipllm.folder / "a.zllm").read_bytes() == by_level(level)
    assert zipllm("decompress", "-qf", "a.zllm").code == 0
    assert (zipllm.folder / "a").read_bytes() == CONTENT


def test_a_level_sets_the_size_of_blocks(zipllm: CommandLine) -> None:
    sizes = []
    for flag in ("-1", "-2", "-9", "--best"):
        assert zipllm("compress", "-qf", flag, "a").code == 0
        header = next(iter(ArchiveReader(io.BytesIO((zipllm.folder / "a.zllm").read_bytes()))))
        assert isinstance(header, ArchiveHeader)
        sizes.append(header.block_size >> 20)
    assert sizes == [1, 4, 16, 16]


@pytest.mark.parametrize(
    ("flag", "name"), [("-3", None), ("-4", "nano"), ("-5", "nano"), ("-6", "small"), ("-7", "base"), ("-9", "base")]
)
def test_a_level_chooses_the_model(zipllm: CommandLine, flag: str, name: str | None) -> None:
    text = (Path(__file__).parents[2] / "zipllm/container/FORMAT.md").read_bytes()[:1500]
    (zipllm.folder / "text").write_bytes(text)
    assert zipllm("compress", "-q", flag, "text").code == 0
    archive = ArchiveReader(io.BytesIO((zipllm.folder / "text.zllm").read_bytes()))
    models = [record.model_id for record in archive if isinstance(record, ModelRecord)]
    assert models == ([] if name is None else [ModelStore.default().find(name).model_id])
    (zipllm.folder / "text").unlink()
    assert zipllm("decompress", "-q", "text.zllm").code == 0
    assert (zipllm.folder / "text").read_bytes() == text


@pytest.mark.parametrize(
    "flags",
    [
        ["--level", "0"],
        ["--level", "10"],
        ["-0"],
        ["--level", "best"],
        ["-10"],
        ["-19"],
        ["-k19"],
        ["-19k"],
        ["-3", "-0"],
    ],
)
def test_levels_that_do_not_exist(zipllm: CommandLine, flags: list[str]) -> None:
    outcome = zipllm("compress", *flags, "a")
    assert outcome.code == 2
    assert "levels are 1 to 9" in outcome.err
    assert zipllm.names() == {"a", "b.zllm"}


@pytest.mark.parametrize(
    ("flags", "level", "written"),
    [
        (["-o", "-2", "-1"], 1, "-2"),
        (["-o", "--best", "-1"], 1, "--best"),
        (["-1", "-o-2"], 1, "-2"),
        (["-S", "-2", "-1"], 1, "a-2"),
        (["--suffix", "-3", "-2"], 2, "a-3"),
        (["-k2"], 2, "a.zllm"),
        (["-fq3"], 3, "a.zllm"),
        (["-9", "-1"], 1, "a.zllm"),
        (["--best", "--level", "1"], 1, "a.zllm"),
    ],
)
def test_a_level_is_no_value_of_another_flag(zipllm: CommandLine, flags: list[str], level: int, written: str) -> None:
    assert zipllm("compress", "-q", *flags, "a").error == (0, "")
    assert zipllm.names() == {"a", "b.zllm", written}
    assert (zipllm.folder / written).read_bytes() == by_level(level)


def test_a_file_may_be_called_like_a_level(zipllm: CommandLine) -> None:
    (zipllm.folder / "-1").write_bytes(CONTENT)
    assert zipllm("compress", "-q", "-2", "--", "-1").code == 0
    assert (zipllm.folder / "-1.zllm").read_bytes() == by_level(2)


def test_other_commands_have_no_levels(zipllm: CommandLine) -> None:
    assert zipllm("decompress", "-1", "b.zllm").code == 2


@pytest.mark.parametrize(
    ("flags", "remark"),
    [
        ("-1", ""),
        ("-6", "model small not used"),
        ("-7", "model base not used"),
        ("--model nano -1", "model nano not used"),
        ("--embed-model", "model small not used, not embedded"),
        ("--embed-model -2", "level 2 has no model to embed"),
        ("--no-history -2", "level 2 without history predicts nothing"),
    ],
)
@pytest.mark.parametrize("form", ["", "-v", "-c", "-cv", "--json"])
def test_a_flag_without_effect_is_named_once(
    inside: Callable[..., Outcome], flags: str, remark: str, form: str
) -> None:
    done = inside("compress", "-f", *flags.split(), *form.split(), "a")
    assert done.code == 0
    said = done.out.decode() if form == "--json" else done.err
    assert said.count(remark or "not used") == bool(remark)


def test_remarks_name_the_faster_level(inside: Callable[..., Outcome], folder: Path) -> None:
    (folder / "table").write_text("".join(f"{number},{7 * number},{number**2}\n" for number in range(300)))
    assert inside("compress", "table").err.endswith("; model small not used; -3 is faster\n")
    assert inside("test", "--model", "nano", "table.zllm").err.endswith("whole; model nano not used\n")
    assert inside("test", "table.zllm").err.endswith("whole\n")
    assert inside("decompress", "-f", "--model", "nano", "table.zllm").err.endswith("(table); model nano not used\n")


def test_an_empty_file_needs_no_model(inside: Callable[..., Outcome], folder: Path) -> None:
    (folder / "empty").write_bytes(b"")
    assert "not used" not in inside("compress", "empty").err
    assert "model nano not used" in inside("compress", "-f", "--model", "nano", "empty").err
    assert inside("compress", "-fq", "--model", "nano", "empty").err == ""
