"""Where the results of ``zipllm bench`` go, and what is kept of an interrupted run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zipllm.bench.inputs import BenchInput
from zipllm.bench.protocol import Spec
from zipllm.bench.result import Row, read_rows, row_to_json
from zipllm.cli.bench.flags import BenchOptions
from zipllm.cli.reports import check_report, replace_text
from zipllm.errors import UsageError, ZipllmError
from zipllm.files.names import PathError


@dataclass(frozen=True)
class Outputs:
    """The files that the options ask for."""

    options: BenchOptions
    _failed: dict[Path, int] = field(default_factory=dict)

    def check(self) -> None:
        """Find out before a long run what would fail after it: flags, places, and matplotlib for figures."""
        options = self.options
        if options.resume and options.rows is None:
            raise UsageError("--resume needs the --json FILE of the run to go on with")
        for path in filter(None, (options.rows, options.csv, options.markdown, options.html)):
            hint = "-f overwrites it" + (", --resume goes on" if path == options.rows else "")
            check_report(path, force=options.force or options.resume, hint=hint)
        self.old_rows()
        if options.figures is not None:
            from zipllm.report.plots import require_matplotlib

            require_matplotlib()

    def old_rows(self) -> list[Row]:
        """Return the rows to compare with."""
        return read_rows(self.options.compare) if self.options.compare else []

    def begin(self, files: Sequence[BenchInput], specs: Sequence[Spec]) -> list[Row]:
        """Return the finished rows that this run would measure again, and leave only those in the file."""
        path, kept = self.options.rows, list[Row]()
        if path is not None:
            if self.options.resume and path.exists():
                kept = _still_wanted(read_rows(path), files, specs)
            _write_rows(path, kept)
        return kept

    def add(self, rows: Sequence[Row]) -> None:
        """Write the newest of the rows, so that nothing is lost when the run ends early."""
        self._write(self.options.rows, lambda path: _append(path, rows[-1]))
        self._write_tables(rows)

    def end(self, rows: Sequence[Row]) -> int:
        """Write everything, now in the order of the command line, and return the exit code of what could not be."""
        self._write(self.options.rows, lambda path: _write_rows(path, rows))
        self._write_tables(rows)
        self._write(self.options.html, lambda path: _write_page(path, rows))
        self._write(self.options.figures, lambda path: _write_figures(path, rows))
        return max(self._failed.values(), default=0)

    def _write_tables(self, rows: Sequence[Row]) -> None:
        from zipllm.bench.tables import to_csv, to_markdown

        self._write(self.options.csv, lambda path: replace_text(path, to_csv(rows)))
        self._write(self.options.markdown, lambda path: replace_text(path, to_markdown(rows)))

    def _write(self, path: Path | None, write: Callable[[Path], object]) -> None:
        """Write a file that was asked for; if that fails, say so once and go on, for the sake of the other results."""
        if path is not None:
            try:
                write(path)
            except (ZipllmError, OSError) as error:
                if path not in self._failed:
                    self._failed[path] = self.options.voice.fail(None, error)


def _append(path: Path, row: Row) -> None:
    try:
        with path.open("a", encoding="utf-8") as sink:
            sink.write(row_to_json(row) + "\n")
    except OSError as error:
        raise PathError.from_os(path, error) from error


def _write_page(path: Path, rows: Sequence[Row]) -> None:
    from zipllm.report.bench_page import bench_page

    replace_text(path, bench_page(rows))


def _write_figures(path: Path, rows: Sequence[Row]) -> None:
    from zipllm.report.plots import save_figures

    save_figures(rows, path)


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    replace_text(path, "".join(f"{row_to_json(row)}\n" for row in rows))


def _still_wanted(rows: Sequence[Row], files: Sequence[BenchInput], specs: Sequence[Spec]) -> list[Row]:
    """Verified rows of these files and codecs; those of a model that has changed since are measured again."""
    wanted = {(item.corpus, item.file, item.sha256, str(spec)): spec for item in files for spec in specs}
    found = {row.key[:4]: row for row in rows if row.verified}
    return [row for key, row in found.items() if key in wanted and _same_model(row, wanted[key])]


def _same_model(row: Row, spec: Spec) -> bool:
    if spec.name != "zipllm":
        return True
    from zipllm.bench.neural import model_of, zipllm_settings
    from zipllm.model_file.store import ModelStore

    model = model_of(zipllm_settings(spec))
    return row.model_id == ("" if model is None else ModelStore.default().find(model).model_id.hex())
