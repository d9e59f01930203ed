"""Codecs, programs and suites as users write them."""

from pathlib import Path

import pytest

from zipllm.bench.codecs import DEFAULT_CODECS, parse_codecs
from zipllm.bench.external import read_programs
from zipllm.bench.neural import ZipllmSettings, zipllm_settings
from zipllm.bench.protocol import Spec, parse_spec
from zipllm.bench.suite import Suite, read_suite
from zipllm.errors import FileError, UsageError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gzip", Spec("gzip")),
        ("xz:9e", Spec("xz", ("9e",))),
        ("zstd:19/long", Spec("zstd", ("19", "long"))),
        ("zstd:19/dict=/a/b c.dict", Spec("zstd", ("19", "dict=/a/b c.dict"))),
        ("zipllm:small/6", Spec("zipllm", ("small", "6"))),
        ("zipllm:/models/a.safetensors", Spec("zipllm", ("", "models", "a.safetensors"))),
    ],
)
def test_specs(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert str(spec) == text


@pytest.mark.parametrize(
    ("text", "model", "options"),
    [
        ("zipllm", None, {}),
        ("zipllm:small", "small", {}),
        ("zipllm:6", None, {"level": 6}),
        ("zipllm:small/6", "small", {"level": 6}),
        ("zipllm:small/6/history=off", "small", {"level": 6, "history": False}),
        ("zipllm:runs/x/model.safetensors/9", "runs/x/model.safetensors", {"level": 9}),
        ("zipllm:/abs/m.safetensors", "/abs/m.safetensors", {}),
        ("zipllm:0287baef", "0287baef", {}),
    ],
)
def test_settings_of_zipllm(text: str, model: str | None, options: dict[str, int | bool]) -> None:
    assert zipllm_settings(parse_spec(text)) == ZipllmSettings(model, options)


def test_defaults_are_spelled_out_and_models_multiply() -> None:
    assert list(map(str, parse_codecs("gzip, zipllm", "small,0287baef"))) == [
        "gzip:9",
        "zipllm:small",
        "zipllm:0287baef",
    ]
    assert len(parse_codecs(DEFAULT_CODECS, None)) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no codec"),
        ("gzip,rar", "no codec called 'rar'"),
        ("gzip,gzip:9", "named twice"),
        (":9", "names no codec"),
        ("xz:", "empty setting"),
    ],
)
def test_wrong_lists(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_codecs(text, None)


def test_levels_out_of_range(tmp_path: Path) -> None:
    from zipllm.bench.codecs import open_codec

    for entry in ("gzip:10", "xz:fast", "bzip2:0", "zstd:23", "zstd:3/fast", "ngram:3"):
        with pytest.raises(UsageError):
            open_codec(parse_spec(entry))


GOOD = '[cmix]\ncompress = "cmix -c {in} {out}"\ndecompress = "cmix -d {in} {out}"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gzip]\n" + GOOD.split("\n", 1)[1], "zipllm has itself"),
        ("[x]\ncompress = 'a {in}'", "must have compress and decompress"),
        (GOOD + "color = 3", "and nothing else"),
        (GOOD + "timeout = 'long'", "timeout is not a number"),
        ("[x]\ncompress = 'a'\ndecompress = 'b {in}'", "does not mention {in}"),
        ("not toml", "not valid TOML"),
    ],
)
def test_wrong_programs(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_programs(path)


def test_programs(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(GOOD)
    assert list(read_programs(path)) == ["cmix"]
    with pytest.raises(FileError):
        read_programs(tmp_path / "nothing")


def test_suite(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text('inputs = ["canterbury"]\ncodecs = "gzip"\nrepeat = 3\n')
    assert read_suite(path) == Suite(("canterbury",), "gzip", None, 3)


@pytest.mark.parametrize(
    "text", ["", "inputs = []", "inputs = ['a']\nrepeat = 0", "inputs = ['a']\nspeed = 1", "inputs = ['a']\ncodecs = 3"]
)
def test_wrong_suites(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="suite.toml"):
        read_suite(path)
    with pytest.raises(FileError):
        read_suite(tmp_path / "nothing")


def test_committed_suites_are_suites() -> None:
    found = sorted((Path(__file__).parents[2] / "benchmarks/suites").glob("*.toml"))
    assert found
    for path in found:
        suite = read_suite(path)
        assert parse_codecs(suite.codecs, suite.models)


def test_committed_programs_are_programs() -> None:
    found = read_programs(Path(__file__).parents[2] / "benchmarks/programs.toml")
    assert "cmix" in found
    assert parse_codecs(",".join(found), None, tuple(found))
