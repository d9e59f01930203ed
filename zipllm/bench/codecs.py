"""Every codec that can be named, from the modules that define them, and the lists of codecs that users type."""

from collections.abc import Mapping, Sequence

from zipllm.bench import libraries, neural, predictors
from zipllm.bench.protocol import Codec, Kind, Spec, parse_spec
from zipllm.errors import UsageError, suggestion

KINDS: Mapping[str, Kind] = {**libraries.KINDS, **neural.KINDS, **predictors.KINDS}
DEFAULT_CODECS = "gzip,bzip2,xz,zstd,brotli,ppmd,zipllm"


def open_codec(spec: Spec) -> Codec:
    """Open a codec in this process, which imports what the codec needs; errors as ``Kind.open``."""
    return find_kind(spec).open(with_defaults(spec))


def find_kind(spec: Spec) -> Kind:
    """Return the registry's entry for a codec. Raises ``UsageError`` if there is none."""
    if spec.name not in KINDS:
        raise UsageError(f"no codec called {spec.name!r}{suggestion(spec.name, KINDS)} (--programs adds others)")
    return KINDS[spec.name]


def with_defaults(spec: Spec) -> Spec:
    """Return the codec with its default settings spelled out if it has no settings, so that rows name them."""
    return spec if spec.settings or spec.name not in KINDS else Spec(spec.name, KINDS[spec.name].default)


def parse_codecs(text: str, models: str | None, programs: Sequence[str] = ()) -> tuple[Spec, ...]:
    """Return the codecs of a comma-separated list; a plain ``zipllm`` stands for one codec per model of ``models``.

    Raises:
        UsageError: an entry is malformed, unknown or repeated.
    """
    specs: list[Spec] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        spec = parse_spec(entry)
        if spec.name not in programs:
            find_kind(spec)
        if spec == Spec("zipllm") and models:
            specs += [parse_spec(f"zipllm:{model.strip()}") for model in models.split(",") if model.strip()]
        else:
            specs.append(with_defaults(spec))
    if not specs:
        raise UsageError("no codec is named")
    for spec in specs:
        if specs.count(spec) > 1:
            raise UsageError(f"{spec} is named twice")
        if spec.name in KINDS:
            KINDS[spec.name].check(spec)
    return tuple(specs)
