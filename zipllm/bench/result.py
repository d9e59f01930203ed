"""One row of a benchmark: one codec on one file. Its fields are the schema of the JSON lines.

A row whose archive was not decoded and found equal has no numbers at all: everything measured is None, ``verified``
is false, and ``status`` says what happened. So a wrong number cannot be read by mistake.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from zipllm.errors import CorruptData, FileError

SCHEMA = 1
"""Changes when a field changes its meaning; new fields may come at any time."""

Status = Literal["ok", "mismatch", "crash", "timeout", "missing", "error"]


@dataclass(frozen=True)
class Measurement:
    """One direction of one codec on one file.

    Attributes:
        median_s: seconds of the median repetition, without starting the codec.
        min_s: seconds of the fastest.
        repeats: how many there were.
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
        corpus: what the file belongs to.
        file: its name.
        sha256: of its raw bytes.
        raw_bytes: its size.
        codec: as written on the command line, settings included: ``zstd:19/long``.
        level: settings in effect, without the codec's name.
        model: name of the model, empty without one.
        model_id: of the model, hexadecimal.
        parameters: weights in the model.
        status: ``ok``; ``mismatch`` decoded to something else; ``crash``; ``timeout``; ``missing`` not installed;
            ``error`` the codec reported one.
        message: what is known about a failure.
        verified: the archive was decoded by another process and compared with the original.
        compressed_bytes: size of the archive file.
        bits_per_byte: ``8 * compressed_bytes / raw_bytes``; None for an empty file.
        ratio: ``raw_bytes / compressed_bytes``.
        weights_bytes: model file or dictionary that the decoder needs too.
        adjusted_bytes: ``compressed_bytes + weights_bytes``.
        program_bytes: the codec's own code as installed.
        total_bytes: ``adjusted_bytes + program_bytes``.
        compress_s: seconds of the median repetition; see ``compress``.
        decompress_s: likewise.
        peak_rss: the larger of both directions, bytes.
        peak_vram: likewise.
        compress: all that was measured.
        decompress: likewise.
        along: raw and compressed bytes of the beginnings of the file, each an archive of its own; may be empty.
        contaminated: why this is no fair test of the model, or empty.
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
        """What makes two rows measurements of the same thing."""
        return self.corpus, self.file, self.sha256, self.codec, self.model_id


def row_to_json(row: Row) -> str:
    """Return the row as one line of ASCII."""
    return json.dumps(asdict(row), allow_nan=False)


def row_from_dict(value: Mapping[str, Any]) -> Row:
    """Restore a row; fields of later versions are passed over.

    Raises:
        ValueError: it is not such a row.
    """
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


def read_rows(path: Path) -> list[Row]:
    """Read a file of JSON lines; a last line torn by an interruption is passed over.

    Raises:
        FileError: it cannot be read.
        CorruptData: a line is not a row.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            rows.append(row_from_dict(json.loads(line)))
        except ValueError as error:
            raise CorruptData(f"{path}, line {number}: {error}") from error
    return rows


def failures(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without a result."""
    return [row for row in rows if not row.verified]
