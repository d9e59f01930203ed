"""``zipllm generate``: text from a model, drawn from its frequencies or decoded from random bits."""

import codecs
import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zipllm.cli import backend, options
from zipllm.cli.messages import say
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError
from zipllm.files.names import STDIN, PathError
from zipllm.files.output import standard_output
from zipllm.files.source import Source, open_source, standard_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zipllm.engine.engine import Engine
    from zipllm.generate.sampling import Sampling

_TEXT = "What is generated"
_DRAWS = "How tokens are drawn"
_DEFAULT_TOKENS = 200
_WORD_BYTES = 4
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?|-?\.[0-9]{1,9}")
_SEED = re.compile(r"[0-9]{1,18}")
_LEAST_BYTES = 8  # a coder reads two words before its first decision


def _fraction(text: str) -> Fraction:
    """Return a decimal number exactly. Raises ``typer.BadParameter`` for anything else, as 1e9 or nan."""
    if not _NUMBER.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a number; write 0.8")
    return Fraction(text)


Prompt = Annotated[
    str | None,
    typer.Option("--prompt", metavar="TEXT", help="What stands before.", rich_help_panel=_TEXT, show_default=False),
]
PromptFile = Annotated[
    str | None,
    typer.Option(
        "--prompt-file",
        metavar="FILE|-",
        help="The same from a file, up to 256 KiB.",
        rich_help_panel=_TEXT,
        show_default=False,
    ),
]
Tokens = Annotated[
    int | None,
    typer.Option(
        "--tokens", "-n", min=1, metavar="N", help="So many tokens; 200 by default.", rich_help_panel=_TEXT,
        show_default=False,
    ),
]  # fmt: skip
Bytes = Annotated[
    int | None,
    typer.Option(
        "--bytes", metavar="SIZE", parser=options.parse_size, help="So many bytes, exactly.", rich_help_panel=_TEXT,
        show_default=False,
    ),
]  # fmt: skip
Temperature = Annotated[
    Fraction | None,
    typer.Option(
        "--temperature",
        metavar="T",
        parser=_fraction,
        help="1 as the model says, less is surer, 0 always the most probable token.",
        rich_help_panel=_DRAWS,
        show_default=False,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k", min=0, metavar="K", help="The K most probable only.", rich_help_panel=_DRAWS, show_default=False
    ),
]
TopP = Annotated[
    Fraction | None,
    typer.Option(
        "--top-p",
        metavar="P",
        parser=_fraction,
        help="The fewest that together have this share.",
        rich_help_panel=_DRAWS,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        help="Same seed, model and options: same bytes, on any machine; 0 by default.",
        rich_help_panel=_DRAWS,
        show_default=False,
    ),
]
FromBits = Annotated[
    str | None,
    typer.Option(
        "--from-bits",
        metavar="SEED|FILE|-",
        help="Decompress random bits instead: those of a seed, or of a file until it ends.",
        rich_help_panel=_DRAWS,
        show_default=False,
    ),
]
ByCodec = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="CODEC",
        help="By gzip, ppmd, ... instead of a model: the bytes that lengthen its archive least. For comparison.",
        rich_help_panel=_DRAWS,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class _Length:
    tokens: int | None
    bytes: int | None


def generate(
    prompt: Prompt = None,
    prompt_file: PromptFile = None,
    tokens: Tokens = None,
    size: Bytes = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    from_bits: FromBits = None,
    by: ByCodec = None,
    model: options.ModelName = None,
    device: options.DeviceName = "auto",
    threads: options.Threads = 0,
    quiet: options.Quiet = 0,
    verbose: options.Verbose = 0,
) -> None:
    """Write what the model expects to standard output: the text behind a prompt, or behind nothing.

    The prompt itself is not written. The end is where it was told to be, which may be within a character.
    """
    voice = Voice("generate", 1 + verbose - quiet)

    def run() -> int:
        draws = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        given = {name: value for name, value in draws.items() if value is not None}
        _check(prompt, prompt_file, tokens, size, given, from_bits)
        length = _Length(None if size is not None else tokens or _DEFAULT_TOKENS, size)
        if by is not None:
            _check_codec(given, from_bits, model)
            from zipllm.generate.by_codec import codec_bytes

            _write(codec_bytes(by, _prompt(prompt, prompt_file), seed or 0), length)
            return 0
        machine = backend.Machine(model, device, threads)
        machine.check()
        before = _prompt(prompt, prompt_file)
        if from_bits is None:
            from zipllm.generate.generation import sample

            sampling = _sampling(given)
            engine = machine.engine()
            _write(_bytes(engine, sample(engine, before, sampling)), length)
        else:
            _decompress(machine, before, from_bits, length, voice)
        return 0

    finish(voice, run)


def _check(
    prompt: str | None,
    prompt_file: str | None,
    tokens: int | None,
    size: int | None,
    draws: dict[str, Any],
    from_bits: str | None,
) -> None:
    if prompt is not None and prompt_file is not None:
        raise UsageError("--prompt and --prompt-file exclude each other")
    if tokens is not None and size is not None:
        raise UsageError("--tokens and --bytes exclude each other")
    if from_bits is not None and draws:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in draws)
        raise UsageError(f"--from-bits draws exactly as the model says; leave out {flags}")
    if from_bits == prompt_file == STDIN:
        raise UsageError("the prompt and the bits cannot both be standard input")


def _check_codec(draws: dict[str, Any], from_bits: str | None, model: str | None) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in draws if name != "seed"]
    flags += ["--from-bits"] if from_bits is not None else []
    flags += ["--model"] if model is not None else []
    if flags:
        raise UsageError(f"--by takes a codec for the model, and as it is; leave out {', '.join(flags)}")


def _sampling(given: dict[str, Any]) -> "Sampling":
    from zipllm.generate.sampling import Sampling

    return Sampling(**given)


def _prompt(text: str | None, file: str | None) -> bytes:
    from zipllm.generate.generation import MOST_PROMPT

    if file is None:
        return os.fsencode(text or "")
    with _open(file) as source:
        return source.stream.read(MOST_PROMPT + 1)


def _open(file: str) -> Source:
    return standard_input() if file == STDIN else open_source(file, follow=True, special=True)


def _decompress(machine: backend.Machine, before: bytes, bits: str, length: _Length, voice: Voice) -> None:
    from zipllm.generate.generation import RandomBits, from_words
    from zipllm.generate.sampling import Randomness

    with contextlib.ExitStack() as stack:
        is_seed = _SEED.fullmatch(bits)
        words = Randomness(int(bits)).words if is_seed else _FileWords(stack.enter_context(_open(bits)))
        coder = RandomBits(words)
        engine = machine.engine()
        count = _write(_bytes(engine, from_words(engine, before, coder)), length)
    if voice.level >= 2:
        say(f"{count} tokens from {coder.bits:.1f} bits, {coder.restarts} new starts of the coder")


class _FileWords:
    """The words of a file, for ``RandomBits``; what is left of less than a word is not used."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begun = False

    def __call__(self, count: int) -> "NDArray[np.uint32]":
        import numpy as np

        data = self._source.stream.read(_WORD_BYTES * count)
        if not self._begun and len(data) < _LEAST_BYTES:
            raise PathError(self._source.name, f"has fewer than {8 * _LEAST_BYTES} bits, which decode to nothing")
        self._begun = True
        return np.frombuffer(data[: len(data) // _WORD_BYTES * _WORD_BYTES], dtype="<u4").astype(np.uint32)


def _bytes(engine: "Engine", tokens: Iterator[int]) -> Iterator[bytes]:
    return (engine.predictor.vocabulary[token] for token in tokens)


def _write(tokens: Iterator[bytes], length: _Length) -> int:
    """Write tokens, each as soon as it is there, up to a length; returns how many there were."""
    count, left = 0, length.bytes
    with standard_output() as output:
        terminal = _Terminal() if os.isatty(1) else None
        while left != 0 and count != length.tokens:
            token = next(tokens, None)
            if token is None:
                break
            if left is not None:
                token = token[:left]
                left -= len(token)
            count += 1
            output.stream.write(terminal.safe(token) if terminal else token)
            output.stream.flush()
        if terminal:
            output.stream.write(terminal.safe(b"", final=True) + b"\n")
        output.commit()
    return count


class _Terminal:
    """Makes text of bytes as they come; a model may write codes that terminals obey."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def safe(self, data: bytes, *, final: bool = False) -> bytes:
        """Return what can be shown of the bytes so far."""
        from zipllm.report.units import sign

        text = self._decoder.decode(data, final)
        return "".join(c if c in "\n\t" else sign(c) for c in text).encode("utf-8", "backslashreplace")
