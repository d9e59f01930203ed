"""One row of a benchmark: one codec on one file. Its fields are the schema of the JSON lines.

Only an archive that was decoded and equals the original has numbers. All measured fields of other rows are None,
``verified`` is false, and ``status`` names the failure, so that nobody reads a wrong number by mistake.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from zipllm.errors import CorruptData, FileError

T = TypeVar("T")
SCHEMA = 1
"""Changes when a field changes its meaning; new fields do not change it."""

Status = Literal["ok", "mismatch", "crash", "timeout", "missing", "error"]


@dataclass(frozen=True)
class Measurement:
    """One direction of one codec on one file.

    Attributes:
        median_s: seconds of the median repetition, without starting the codec.
        min_s: seconds of the fastest.
        repeats: number of repetitions.
        cpu_s: processor seconds of the median repetition, all threads and child processes.
        startup_s: seconds to start the process and open the codec (imports, model).
        peak_rss: peak resident memory of the process, bytes.
        peak_vram: peak memory on the GPU, bytes.
    """

    median_s: float
    min_s: float
    repeats: int
    cpu_s: float
    startup_s: float
    peak_rss: int
    peak_vram: int


@dataclass(frozen=True)
class Row:
    """One codec on one file.

    Attributes:
        corpus: of the file.
        file: its name.
        sha256: of its raw bytes.
        raw_bytes: its size.
        codec: as on the command line, with settings: ``zstd:19/long``.
        level: settings in effect, without the codec's name.
        model: name of the model, empty without one.
        model_id: of the model, hexadecimal.
        parameters: weights in the model.
        status: ``ok``; ``mismatch`` decoded to something else; ``crash``; ``timeout``; ``missing`` not installed;
            ``error`` the codec reported one.
        message: details of a failure.
        verified: the archive was decoded by another process and compared with the original.
        compressed_bytes: size of the archive file.
        bits_per_byte: ``8 * compressed_bytes / raw_bytes``; None for an empty file.
        ratio: ``raw_bytes / compressed_bytes``.
        weights_bytes: model file or dictionary that the decoder needs too.
        adjusted_bytes: ``compressed_bytes + weights_bytes``.
        program_bytes: the codec's own code as installed.
        total_bytes: ``adjusted_bytes + program_bytes``.
        compress_s: seconds of the median repetition; see ``compress``.
        decompress_s: the same for decompressing.
        peak_rss: the larger peak of both directions, bytes.
        peak_vram: the same on the GPU.
        compress: all measurements of compressing.
        decompress: all measurements of decompressing.
        along: raw and compressed bytes of the file's beginnings, each an archive of its own; may be empty.
        contaminated: the reason why this is no fair test of the model, or empty.
        environment: machine, versions, command, date.
        schema: version of this list.
    """

    corpus: str
    file: str
    sha256: str
    raw_bytes: int
    codec: str
    status: Status = "ok"
    message: str = ""
    verified: bool = False
    level: str = ""
    model: str = ""
    model_id: str = ""
    parameters: int = 0
    compressed_bytes: int | None = None
    bits_per_byte: float | None = None
    ratio: float | None = None
    weights_bytes: int | None = None
    adjusted_bytes: int | None = None
    program_bytes: int | None = None
    total_bytes: int | None = None
    compress_s: float | None = None
    decompress_s: float | None = None
    peak_rss: int | None = None
    peak_vram: int | None = None
    compress: Measurement | None = None
    decompress: Measurement | None = None
    along: tuple[tuple[int, int], ...] = ()
    contaminated: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        assert self.verified == (self.compressed_bytes is not None) == (self.status == "ok"), "numbers only if verified"

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Corpus, file, digest, codec and model id: equal in rows that measure the same."""
        return self.corpus, self.file, self.sha256, self.codec, self.model_id


def row_to_json(row: Row) -> str:
    """Return the row as one line of ASCII."""
    return json.dumps(asdict(row), allow_nan=False)


def row_from_dict(value: Mapping[str, Any]) -> Row:
    """Restore a row; fields of later versions are ignored. Raises ``ValueError`` for anything else."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError(f"not a row of schema {SCHEMA}")
    known = {each.name for each in fields(Row)}
    members = {name: item for name, item in value.items() if name in known}
    try:
        for direction in ("compress", "decompress"):
            if members.get(direction) is not None:
                members[direction] = Measurement(**members[direction])
        members["along"] = tuple((int(raw), int(packed)) for raw, packed in members.get("along", ()))
        return Row(**members)
    except (TypeError, AssertionError) as error:
        raise ValueError(str(error)) from error


def read_json_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """Read a file of JSON lines; an incomplete last line, left by an interruption, is ignored.

    Raises:
        FileError: the file cannot be read.
        CorruptData: a line is not JSON, or ``parse`` raised ``ValueError``.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    values = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            values.append(parse(json.loads(line)))
        except ValueError as error:
            raise CorruptData(f"{path}, line {number}: {error}") from error
    return values


def read_rows(path: Path) -> list[Row]:
    """Read rows as JSON lines; errors as ``read_json_lines``."""
    return read_json_lines(path, row_from_dict)


def failures(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without a result."""
    return [row for row in rows if not row.verified]
