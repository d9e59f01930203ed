"""``zipllm generate``: so much text and no more, the same for the same seed, and one clear line for what is wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.cli.generate import _Terminal
from zipllm.model_file.file import build_model, model_to_bytes
from zipllm.tokenizer import ByteTokenizer


@pytest.fixture(scope="module")
def model_file() -> bytes:
    return model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.fixture
def model(folder: Path, model_file: bytes) -> str:
    path = folder / "tiny.safetensors"
    path.write_bytes(model_file)
    return os.fspath(path)


def test_a_seed_is_a_text(inside: Callable[..., Outcome], model: str) -> None:
    first = inside("generate", "--model", model, "-n", "30", "--prompt", "abc")
    assert (first.code, first.err, len(first.out), first.out[:3]) == (0, "", 33, b"abc")
    assert inside("generate", "--model", model, "--tokens", "30", "--prompt", "abc", "--seed", "0").out == first.out
    assert inside("generate", "--model", model, "-n", "30", "--prompt", "abc", "--seed", "1").out != first.out
    assert inside("generate", "--model", model, "-n", "30", "--prompt", "abd").out != first.out
    assert inside("generate", "--model", model, "-n", "20", "--prompt", "abc").out == first.out[:23]
    assert len(inside("generate", "--model", model).out) == 200
    assert inside("generate", "--model", model, "-n", "30", "--prompt", "abc", "--temperature", "0.8").out == first.out
    assert inside("generate", "--model", model, "-n", "30", "--prompt", "abc", "--temperature", "1").out != first.out


def test_the_prompt_is_an_argument_and_written_first(inside: Callable[..., Outcome], model: str) -> None:
    whole = inside("generate", "abc", "--model", model, "-n", "30")
    assert whole.out == inside("generate", "--prompt", "abc", "--model", model, "-n", "30").out
    for flags in ((), ("--from-bits", "3"), ("--bytes", "9")):
        told = inside("generate", "abc", "--model", model, *flags)
        silent = inside("generate", "abc", "--model", model, "--no-echo", *flags)
        assert told.out == b"abc" + silent.out
    assert inside("generate", "--model", model, "--bytes", "0", "--", "-x").out == b"-x"


def test_this_very_text(inside: Callable[..., Outcome], model: str) -> None:
    """Of this model and seed, now and on any machine."""
    done = inside("generate", "--model", model, "-n", "12", "--temperature", "0.7", "--top-k", "40", "--top-p", "0.9")
    assert done.out.hex() == "1af8cd646085525ee70cb958"
    assert inside("generate", "--model", model, "-n", "12", "--from-bits", "5").out.hex() == "1af8cd646085525ee70cb958"


def test_the_prompt_may_be_a_file(inside: Callable[..., Outcome], model: str, folder: Path) -> None:
    (folder / "prompt").write_bytes(b"\xff\xfe abc")
    by_file = inside("generate", "--model", model, "--prompt-file", "prompt", "--bytes", "1K")
    assert (by_file.code, len(by_file.out), by_file.out[:6]) == (0, 1030, b"\xff\xfe abc")
    piped = inside("generate", "--model", model, "--prompt-file", "-", "--bytes", "1K", stdin=b"\xff\xfe abc")
    assert piped.out == by_file.out


def test_greed_repeats_itself(inside: Callable[..., Outcome], model: str) -> None:
    surest = inside("generate", "--model", model, "--temperature", "0", "-n", "40")
    assert inside("generate", "--model", model, "--top-k", "1", "-n", "40", "--seed", "9").out == surest.out


def test_a_penalty_for_recent_tokens_ends_a_loop(inside: Callable[..., Outcome], model: str) -> None:
    flags = ("generate", "--model", model, "--temperature", "0", "-n", "40", "--repeat-penalty")
    assert inside(*flags, "1").out == inside(*flags[:-1]).out
    assert len(set(inside(*flags, "1000").out)) > len(set(inside(*flags, "1").out))


def test_random_bits(inside: Callable[..., Outcome], model: str, folder: Path) -> None:
    """All of a file, without what is left of less than a word."""
    (folder / "bits").write_bytes(bytes(range(7, 23)) + b"xyz")
    flags = ("--model", model, "-n", "9999", "--from-bits")
    done = inside("generate", *flags, "bits", "-v")
    assert done.code == 0
    assert len(done.out) < 9999
    assert done.err.startswith(f"{len(done.out)} tokens from ")
    assert 8 * 12 < float(done.err.split(" from ")[1].split(" bits")[0]) <= 8 * 16
    piped = inside("generate", *flags, "-", stdin=bytes(range(7, 23)))
    assert (piped.out, piped.err) == (done.out, "")
    assert inside("generate", *flags[:2], "--from-bits", "bits", "--bytes", "5").out == done.out[:5]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--prompt", "a", "--prompt-file", "a"], 2, "TEXT, --prompt and --prompt-file exclude each other"),
        (["a", "--prompt", "a"], 2, "TEXT, --prompt and --prompt-file exclude each other"),
        (["--repeat-penalty", "0.5"], 2, "repeat_penalty must be 1 to 1000, not 0.5"),
        (["--tokens", "5", "--bytes", "5"], 2, "--tokens and --bytes exclude each other"),
        (["--temperature", "-1"], 2, "temperature must be 0, or 0.01 to 100, not -1"),
        (["--temperature", "0.001"], 2, "temperature must be 0, or 0.01 to 100, not 0.001"),
        (["--top-p", "1.5"], 2, "top_p must be over 0 and at most 1, not 1.5"),
        (["--temperature", "hot"], 2, "Invalid value for '--temperature': 'hot' is not a number; write 0.8"),
        (["--temperature", "nan"], 2, "Invalid value for '--temperature': 'nan' is not a number; write 0.8"),
        (["--top-p", "1e-999999999"], 2, "Invalid value for '--top-p': '1e-999999999' is not a number; write 0.8"),
        (["--top-k", "-3"], 2, "Invalid value for '--top-k': Input should be greater than or equal to 0"),
        (["--seed", "-3"], 2, "Invalid value for '--seed': Input should be greater than or equal to 0"),
        (["--tokens", "0"], 2, "Invalid value for '--tokens' / '-n': Input should be greater than or equal to 1"),
        (["--from-bits", "1", "--top-k", "3"], 2, "--from-bits draws exactly as the model says; leave out --top-k"),
        (["--from-bits", "-", "--prompt-file", "-"], 2, "the prompt and the bits cannot both be standard input"),
        (["--from-bits", "few"], 1, "few: has fewer than 64 bits, which decode to nothing"),
        (["--from-bits", "missing"], 1, "missing: No such file or directory"),
        (["--prompt-file", "missing"], 1, "missing: No such file or directory"),
        (["--prompt-file", "long"], 5, "a prompt may have 256 KiB, this one is longer"),
    ],
    ids=str,
)
def test_what_is_refused(
    inside: Callable[..., Outcome], model: str, folder: Path, arguments: list[str], code: int, message: str
) -> None:
    (folder / "few").write_bytes(bytes(7))
    (folder / "long").write_bytes(bytes((256 << 10) + 1))
    found, said = inside("generate", "--model", model, *arguments).error
    assert (found, said.count("\n")) == (code, 1)
    assert said.removesuffix("\n").removesuffix(" (see zipllm generate --help)") == f"zipllm: {message}"


def test_by_a_codec(inside: Callable[..., Outcome]) -> None:
    """No model is loaded; a seed gives the same bytes again."""
    prompt = "abcdefghij" * 20
    done = inside("generate", "--by", "gzip", "--prompt", prompt, "--bytes", "12")
    assert (done.code, done.err, len(done.out)) == (0, "", 212)
    assert inside("generate", "--by", "gzip", "--prompt", prompt, "-n", "12", "--seed", "0").out == done.out
    assert inside("generate", "--by", "gzip", "--prompt", prompt, "-n", "12", "--seed", "1").out != done.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["zip"], 2, "no codec called 'zip' that text can be drawn from (known: gzip, "),
        (["copy"], 2, "no codec called 'copy' that text can be drawn from (known: gzip, "),
        (["gzip:77"], 2, "gzip:77: gzip has 0 to 9, not 77"),
        (["gzip", "--top-k", "3"], 2, "--by takes a codec for the model, and as it is; leave out --top-k"),
        (["gzip", "--model", "small"], 2, "--by takes a codec for the model, and as it is; leave out --model"),
        (["gzip", "--from-bits", "3"], 2, "--by takes a codec for the model, and as it is; leave out --from-bits"),
        (["gzip", "--prompt-file", "long"], 5, "a prompt for a codec may have 16 KiB, this one is longer"),
    ],
    ids=str,
)
def test_what_no_codec_does(
    inside: Callable[..., Outcome], folder: Path, arguments: list[str], code: int, message: str
) -> None:
    (folder / "long").write_bytes(bytes((16 << 10) + 1))
    found, said = inside("generate", "--by", *arguments).error
    assert found == code
    assert said.startswith(f"zipllm: {message}")


def test_no_such_model(inside: Callable[..., Outcome]) -> None:
    code, message = inside("generate", "--model", "nope").error
    assert code == 4
    assert message.startswith("zipllm: no model called 'nope'")


def test_a_terminal_is_given_no_codes() -> None:
    terminal = _Terminal()
    parts = [terminal.safe(part) for part in (b"a\x1b[31m\n", b"\xe4\xb8", b"\x80\xff\r", b"\xe4")]
    assert b"".join(parts).decode() == "a\\x1b[31m\n一\\xff\\r"
    assert terminal.safe(b"", final=True) == b"\\xe4"
