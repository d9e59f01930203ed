"""``zipllm generate``: text from a model, drawn from its frequencies or decoded from random bits."""

import codecs
import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import typer

from zipllm.cli.options import ModelOptions, Panel, VerboseOptions, argument
from zipllm.errors import UsageError
from zipllm.files.names import STDIN, PathError, means_stdin
from zipllm.files.output import standard_output
from zipllm.files.source import Source, open_source, standard_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_DEFAULT_TOKENS = 200
_TEMPERATURE = Fraction(4, 5)
"""Small models write more sensibly somewhat below 1."""
_WORD_BYTES = 4
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?|-?\.[0-9]{1,9}")
_SEED = re.compile(r"[0-9]{1,18}")
_LEAST_BYTES = 8  # a coder reads two words before its first decision


def _fraction(text: str) -> Fraction:
    """Return a decimal number exactly. Raises ``typer.BadParameter`` for anything else, as 1e9 or nan."""
    if not _NUMBER.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a number; write 0.8")
    return Fraction(text)


_TEXT = Panel("What is generated")
_DRAWS = Panel("How tokens are drawn")


class GenerateOptions(ModelOptions, VerboseOptions, command="generate"):
    """Options of ``generate``."""

    text: str | None = argument(metavar="[TEXT]", help="The text to continue, the prompt.", default=None)
    prompt: str | None = _TEXT("--prompt", metavar="TEXT", help="The same, for a text that begins with a dash.")
    prompt_file: str | None = _TEXT(
        "--prompt-file", metavar="FILE|-", help="Read the prompt from a file, up to 256 KiB."
    )
    no_echo: bool = _TEXT.switch("--no-echo", help="Leave the prompt out of what is written.")
    tokens: int | None = _TEXT("--tokens", "-n", min=1, metavar="N", help="Write N tokens; 200 by default.")
    bytes: int | None = _TEXT.size("--bytes", help="Write exactly SIZE bytes instead.")
    temperature: Fraction | None = _DRAWS(
        "--temperature",
        metavar="T",
        parser=_fraction,
        help="1 draws as the model says, less favors probable tokens, 0 always takes the most probable one; 0.8 by "
        "default.",
    )
    top_k: int | None = _DRAWS("--top-k", min=0, metavar="K", help="Draw from the K most probable tokens.")
    top_p: Fraction | None = _DRAWS(
        "--top-p", metavar="P", parser=_fraction, help="Draw from the fewest tokens that together reach P."
    )
    repeat_penalty: Fraction | None = _DRAWS(
        "--repeat-penalty",
        metavar="R",
        parser=_fraction,
        help="Divide the probability of each of the last 64 tokens by R, from 1 on, so that a text leaves its loops.",
    )
    seed: int | None = _DRAWS(
        "--seed", min=0, metavar="N", help="Same seed, model and options: same bytes, on any machine; 0 by default."
    )
    from_bits: str | None = _DRAWS(
        "--from-bits",
        metavar="SEED|FILE|-",
        help="Decompress random bits instead: those of a seed, or a file's until it ends.",
    )
    by: str | None = _DRAWS(
        "--by",
        metavar="CODEC",
        help="For comparison, take a codec (gzip, ppmd, ...) instead of a model, and write the bytes that lengthen "
        "its archive least.",
    )

    @property
    def draws(self) -> dict[str, Any]:
        """The arguments of ``Sampling`` that the user gave."""
        return self.given("temperature", "top_k", "top_p", "repeat_penalty", "seed")


def generate(options: GenerateOptions) -> int:
    """Write text from a model to standard output: a prompt and its continuation, or one of nothing.

    The text ends after the tokens or bytes asked for, which may be within a character.

    $ zipllm generate "Beautiful is better than" --bytes 100
    $ zipllm generate --from-bits 1        # decompress random bits
    """
    _check(options)
    if options.by is not None:
        from zipllm.generate.by_codec import codec_bytes

        prompt = _prompt(options)
        _write(prompt, codec_bytes(options.by, prompt, options.seed or 0), options)
        return 0
    options.loader.check()
    prompt = _prompt(options)
    if options.from_bits is None:
        from zipllm.generate.generation import sample
        from zipllm.generate.sampling import Sampling

        # before the model is loaded: it refuses what is out of range
        sampling = Sampling(**{"temperature": _TEMPERATURE} | options.draws)
        engine = options.loader.engine()
        _write(prompt, map(engine.predictor.vocabulary.__getitem__, sample(engine, prompt, sampling)), options)
    else:
        _decompress(options, prompt, options.from_bits)
    return 0


def _check(options: GenerateOptions) -> None:
    if sum(each is not None for each in (options.text, options.prompt, options.prompt_file)) > 1:
        raise UsageError("TEXT, --prompt and --prompt-file exclude each other")
    if options.tokens is not None and options.bytes is not None:
        raise UsageError("--tokens and --bytes exclude each other")
    flags = _flags(options.draws)
    if options.from_bits is not None and flags:
        raise UsageError(f"--from-bits draws exactly as the model says; leave out {', '.join(flags)}")
    if options.from_bits == options.prompt_file == STDIN:
        raise UsageError("the prompt and the bits cannot both be standard input")
    if options.by is not None:
        flags = _flags(options.given("temperature", "top_k", "top_p", "repeat_penalty", "from_bits", "model"))
        if flags:
            raise UsageError(f"--by takes a codec for the model, and as it is; leave out {', '.join(flags)}")


def _flags(names: Iterable[str]) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in names]


def _prompt(options: GenerateOptions) -> bytes:
    from zipllm.generate.generation import MOST_PROMPT

    if options.prompt_file is None:
        return os.fsencode(options.text or options.prompt or "")
    with _open(options.prompt_file) as source:
        return source.stream.read(MOST_PROMPT + 1)


def _open(file: str) -> Source:
    return standard_input() if means_stdin(file) else open_source(file, follow=True, special=True)


def _decompress(options: GenerateOptions, prompt: bytes, bits: str) -> None:
    from zipllm.generate.generation import RandomBits, from_words
    from zipllm.generate.sampling import Randomness

    with contextlib.ExitStack() as stack:
        is_seed = _SEED.fullmatch(bits)
        words = Randomness(int(bits)).words if is_seed else _FileWords(stack.enter_context(_open(bits)))
        coder = RandomBits(words)
        engine = options.loader.engine()
        tokens = map(engine.predictor.vocabulary.__getitem__, from_words(engine, prompt, coder))
        count = _write(prompt, tokens, options)
    options.voice.tell(f"{count} tokens from {coder.bits:.1f} bits, {coder.restarts} new starts of the coder", 2)


class _FileWords:
    """The words of a file, for ``RandomBits``; an incomplete word at the end is not used."""

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


def _write(prompt: bytes, tokens: Iterator[bytes], options: GenerateOptions) -> int:
    """Write the prompt, then tokens, each as soon as it is there, up to the length asked for; returns their number."""
    count, left = 0, options.bytes
    most = None if left is not None else options.tokens or _DEFAULT_TOKENS
    with standard_output() as output:
        terminal = _Terminal() if os.isatty(1) else None

        def show(data: bytes) -> None:
            output.stream.write(terminal.safe(data) if terminal else data)
            output.stream.flush()

        waiting = b"" if options.no_echo else prompt  # until the first token: an error before it leaves no output
        for token in () if left == 0 else itertools.islice(tokens, most):
            if left is not None:
                token = token[:left]
                left -= len(token)
            count += 1
            show(waiting + token)
            waiting = b""
            if left == 0:
                break
        show(waiting)
        if terminal:
            output.stream.write(terminal.safe(b"", final=True) + b"\n")
        output.commit()
    return count


class _Terminal:
    """Makes text of bytes as they come, without the control codes that terminals would obey."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def safe(self, data: bytes, *, final: bool = False) -> bytes:
        """Return what can be shown of the bytes so far."""
        from zipllm.report.units import sign

        text = self._decoder.decode(data, final)
        return "".join(c if c in "\n\t" else sign(c) for c in text).encode("utf-8", "backslashreplace")
