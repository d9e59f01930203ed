"""All fuzz targets by name: what is run, and what to begin with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fuzz import arguments, block, damage, gguf_header, header, media, model_file, round_trip, tokenizer


@dataclass(frozen=True)
class Target:
    """A function that fails when a promise is broken, and inputs worth changing."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


TARGETS = {
    module.__name__.rsplit(".", 1)[1]: Target(module.run, module.seeds)
    for module in (header, block, damage, model_file, tokenizer, arguments, round_trip, media, gguf_header)
}
