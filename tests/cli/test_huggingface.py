"""Hugging Face models at the command line: eval, generate, explain, and archives for one machine."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import Outcome
from tests.huggingface.fixtures import bert, folders, gpt2, llama
from zipllm.cli.eval import masked as eval_masked
from zipllm.codec.encoder import compress_stream
from zipllm.codec.levels import encode_options
from zipllm.codec.options import EncodeOptions
from zipllm.engine.engine import Engine, load_engine

__all__ = ["bert", "gpt2", "llama"]

Inside = Callable[..., Outcome]
TEXT = b"To be, or not to be: that is the question.\nNobler in mind to be.\n" * 3


@pytest.fixture(autouse=True)
def places(folder: Path, tmp_path: Path, gpt2: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts ``t`` and ``u``, links ``gpt2`` and ``bert`` to the models, and no corpora."""
    monkeypatch.setenv("ZIPLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ZIPLLM_DATA_DIR", raising=False)
    (folder / "t").write_bytes(TEXT)
    (folder / "u").write_bytes("学而时习之\xff".encode("latin-1", "replace") + b"\xff")
    (folder / "gpt2").symlink_to(gpt2)
    (folder / "bert").symlink_to(bert)


def records(done: Outcome) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def local_archive(folder: Path) -> Engine:
    """``local.zllm``, coded by the model although it loses, being random."""
    engine = load_engine("hf:gpt2", "cpu")
    with (folder / "local.zllm").open("wb") as sink:
        options = encode_options(same_machine=True, fallback=False)
        compress_stream(io.BytesIO(TEXT), sink, engine=engine, options=options)
    return engine


# --------------------------------------------------------------------------- eval
def test_eval(inside: Inside, folder: Path) -> None:
    one, two, whole = records(inside("eval", "hf:gpt2", "t", "u", "--json", "--device", "cpu"))
    assert one["model"] == whole["model"] == "hf:gpt2"
    assert (one["portable"], one["left_out"], one["lanes"]) == (False, 47, 1)
    assert one["context"]["window"] == 32
    assert 0 < one["left_out_share"] < 1
    assert min(one["left_out_share"], two["left_out_share"]) <= whole["left_out_share"]
    assert whole["bits"] == pytest.approx(one["bits"] + two["bits"])
    assert (two["raw_bytes"], two["valid_utf8"]) == (7, False)


def test_eval_in_words(inside: Inside) -> None:
    done = inside("eval", "hf:gpt2", "t")
    assert (done.code, done.err) == (0, "")
    text = " ".join(done.out.decode().split())
    for words in (
        "hf:gpt2 (",
        "39,936 parameters",
        "each cut into 1 lane.",
        "a full context of 32 tokens begins anew with its last 16.",
        "on another machine the last digits may differ",
        "47 ids of the model stand for no bytes",
    ):
        assert words in text


def test_eval_with_archives(inside: Inside) -> None:
    file, _ = records(inside("eval", "hf:gpt2", "t", "--history", "--json"))
    without, _ = records(inside("eval", "hf:gpt2", "t", "--json"))
    assert file["bits"] == pytest.approx(without["bits"], rel=1e-4)
    assert file["archive_codings"] == {"history": 1}


# --------------------------------------------------------------------------- masked models
def test_eval_of_a_masked_model(inside: Inside) -> None:
    done = inside("eval", "hf:bert", "t", "u", "--json")
    one, two, whole = records(done)
    words = {line.split("  ")[0].strip() for line in (eval_masked.__doc__ or "").splitlines() if "  " in line}
    documented = {name for word in words if word for name in word.replace(" |", ",").split(", ")}
    assert set(one) | {"files"} == set(whole) | {"file"} == documented
    assert (one["kind"], one["code_length"], one["raw_bytes"]) == ("masked", False, len(TEXT))
    assert one["pseudo_bits"] != one["forward_bits"]
    assert one["pseudo_bits_per_token"] == pytest.approx(one["pseudo_bits"] / one["tokens"])
    assert two["unknown"] == two["tokens"] > 0
    assert whole["pseudo_bits"] == pytest.approx(one["pseudo_bits"] + two["pseudo_bits"])


def test_a_masked_model_in_words(inside: Inside) -> None:
    done = inside("eval", "hf:bert", "t", "u")
    assert (done.code, done.err) == (0, "")
    text = " ".join(done.out.decode().split())
    assert "no number here is a code length" in text
    assert "all 2 files" in text
    assert "BertForMaskedLM" in text


def test_nothing_to_mask(inside: Inside, folder: Path) -> None:
    (folder / "empty").write_bytes(b"")
    one, _ = records(inside("eval", "hf:bert", "empty", "--json"))
    assert (one["tokens"], one["pseudo_bits"], one["pseudo_perplexity"]) == (0, 0, None)
    assert inside("eval", "hf:bert", "empty").code == 0


@pytest.mark.parametrize(
    "command",
    [("compress", "t", "--same-machine"), ("generate",), ("explain", "t"), ("eval", "t", "--history")],
    ids=str,
)
def test_a_masked_model_cannot_code(inside: Inside, folder: Path, command: tuple[str, ...]) -> None:
    name, *rest = command
    arguments = ("hf:bert", *rest) if name == "eval" else (*rest, "--model", "hf:bert")
    done = inside(name, *arguments)
    assert done.code == (2 if name == "eval" else 4)
    assert "masked model cannot" in done.err if name == "eval" else "predicts a token from both sides" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (folder / "t.zllm").exists()


# --------------------------------------------------------------------------- generate, explain
def test_generate(inside: Inside) -> None:
    first = inside("generate", "--model", "hf:gpt2", "--prompt", "to be", "-n", "30", "--seed", "7")
    second = inside("generate", "--model", "hf:gpt2", "--prompt", "to be", "-n", "30", "--seed", "7")
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out != b""
    bits = inside("generate", "--model", "hf:gpt2", "--from-bits", "1", "--bytes", "40", "-v")
    assert len(bits.out) == 40
    assert "tokens from" in bits.err


def test_explain(inside: Inside, folder: Path) -> None:
    (record,) = records(inside("explain", "t", "--model", "hf:gpt2", "--by", "model", "--json"))
    assert record["coding"] == "model"
    assert sum(token["bits"] for token in record["tokens"]) == pytest.approx(record["bits"])
    assert "".join(token["text"] for token in record["tokens"]) == TEXT.decode()
    assert record["compressed_bytes"] == record["payload_bytes"] + record["container_bytes"]
    page = inside("explain", "t", "--model", "hf:gpt2", "--by", "model", "--html", "page.html")
    assert page.code == 0
    assert "hf:gpt2" in (folder / "page.html").read_text()


# --------------------------------------------------------------------------- archives
def test_compress_asks_first(inside: Inside, folder: Path) -> None:
    done = inside("compress", "t", "--model", "hf:gpt2")
    code, message = done.error
    assert code == 2
    assert "its archive decodes on this machine only; if that will do, say --same-machine" in message
    assert not (folder / "t.zllm").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--same-machine"], "for a Hugging Face model"),
        (["--same-machine", "--model", "small"], "for a Hugging Face model"),
        (["--same-machine", "--model", "hf:gpt2", "--no-verify"], "always verified"),
        (["--same-machine", "--model", "hf:gpt2", "--embed-model"], "cannot be put into an archive"),
    ],
    ids=str,
)
def test_flags_that_do_not_fit(inside: Inside, folder: Path, flags: list[str], says: str) -> None:
    code, message = inside("compress", "t", *flags).error
    assert code == 2
    assert says in message
    assert not (folder / "t.zllm").exists()


def test_compress_and_back(inside: Inside, folder: Path) -> None:
    """The random model loses, so this archive is portable, and is not called anything else."""
    done = inside("compress", "t", "--model", "hf:gpt2", "--same-machine")
    assert done.code == 0
    assert "not portable" not in done.err
    (record,) = records(inside("compress", "u", "--model", "hf:gpt2", "--same-machine", "--json"))
    assert record["portable"] is True
    assert inside("decompress", "-c", "t.zllm", "u.zllm").out == TEXT + (folder / "u").read_bytes()


def test_an_archive_by_the_model_is_marked(inside: Inside, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model that wins: the result, the JSON, the list and its details all say it."""
    monkeypatch.setattr("zipllm.codec.levels.EncodeOptions", lambda **options: EncodeOptions(**options, fallback=False))
    done = inside("compress", "t", "--model", "hf:gpt2", "--same-machine")
    assert done.code == 0
    assert "t.zllm); not portable, decodes on this machine only" in done.err
    (record,) = records(inside("compress", "-f", "t", "--model", "hf:gpt2", "--same-machine", "--json"))
    assert record["portable"] is False
    assert inside("decompress", "-c", "t.zllm", "--model", "hf:gpt2").out == TEXT


def test_list(inside: Inside, folder: Path) -> None:
    engine = local_archive(folder)
    (record,) = records(inside("list", "local.zllm", "--json"))
    assert record["models"] == [{"id": engine.model_id.hex(), "embedded_bytes": 0, "portable": False}]
    assert "  not portable  local.zllm" in inside("list", "local.zllm").out.decode()
    assert f"{engine.model_id.hex()} (not portable:" in inside("list", "-v", "local.zllm").out.decode()


def test_read_with_the_model(inside: Inside, folder: Path) -> None:
    local_archive(folder)
    flags = ("--model", "hf:gpt2", "--device", "cpu")
    assert inside("test", "local.zllm", *flags).code == 0
    assert inside("decompress", "-c", "local.zllm", *flags).out == TEXT
    assert inside("decompress", "-c", "--range", "5:15", "local.zllm", *flags).out == TEXT[5:15]
    assert inside("decompress", "-c", "--salvage", "local.zllm", *flags).out == TEXT


def test_read_without_the_model_or_with_another(inside: Inside, folder: Path, llama: Path) -> None:
    local_archive(folder)
    for flags, says in (
        ((), "not portable: it needs the machine that wrote it"),
        (
            ("--model", f"hf:{llama}"),
            "not portable, and was written where other floats are computed: architecture GPT2",
        ),
        (("--model", "nano"), "the model given is"),
    ):
        code, message = inside("decompress", "local.zllm", "-o", "out", *flags).error
        assert code == 4
        assert says in message
        assert len(message.splitlines()) == 1
        assert not (folder / "out").exists()


# --------------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("hf:nothing", 4, "'nothing' is not a folder with a Hugging Face model"),
        ("hf:.", 4, "has no config.json"),
        ("hf:t", 4, "is not a folder"),
        ("hf:", 4, "is not a folder"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "compress", "generate", "explain", "decompress"])
def test_wrong_folders(inside: Inside, command: str, model: str, code: int, says: str) -> None:
    arguments = {
        "eval": (model, "t"),
        "compress": ("t", "--same-machine", "--model", model),
        "generate": ("--model", model),
        "explain": ("t", "--model", model),
        "decompress": ("b.zllm", "-c", "--model", model),
    }
    found, message = inside(command, *arguments[command]).error
    assert found == code
    assert says in message
    assert len(message.splitlines()) == 1


def test_a_folder_of_another_kind(inside: Inside, folder: Path, gpt2: Path) -> None:
    (folder / "other").mkdir()
    for file in gpt2.iterdir():
        os.link(file, folder / "other" / file.name)
    config = (gpt2 / "config.json").read_text()
    (folder / "other" / "config.json").unlink()
    (folder / "other" / "config.json").write_text(config)
    folders().change_config(folder / "other", architectures=["GPT2ForSequenceClassification"])
    code, message = inside("eval", "hf:other", "t").error
    assert code == 4
    assert "holds a GPT2ForSequenceClassification, which is not a model of the next token" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "hf:gpt2", "t"),
        ("generate", "--model", "hf:gpt2"),
        ("compress", "t", "--same-machine", "--model", "hf:x"),
    ],
    ids=str,
)
def test_without_the_extra(inside: Inside, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    done = inside(*arguments)
    assert done.error == (1, "zipllm: a Hugging Face model needs transformers: pip install 'zipllm[hf]'\n")
