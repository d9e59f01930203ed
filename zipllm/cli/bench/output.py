"""Where the results of ``zipllm bench`` go, and what is kept of an interrupted run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zipllm.bench.inputs import BenchInput
from zipllm.bench.result import Row, read_rows, row_to_json
from zipllm.bench.spec import Spec
from zipllm.cli.bench.flags import BenchOptions
from zipllm.cli.reports import check_report, replace_text
from zipllm.errors import UsageError
from zipllm.files.names import PathError


@dataclass(frozen=True)
class Outputs:
    """The files that the options ask for."""

    options: BenchOptions

    def check(self) -> None:
        """Find out before a long run what would fail after it: flags, places, and matplotlib for figures."""
        options = self.options
        if options.resume and options.rows is None:
            raise UsageError("--resume needs the --json FILE of the run to go on with")
        for path in filter(None, (options.rows, options.csv, options.markdown, options.html)):
            check_report(path, force=options.force or options.resume, hint="-f overwrites it, --resume goes on")
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

    def add(self, row: Row) -> None:
        """Write a finished row, so that nothing is lost when the run ends early."""
        if path := self.options.rows:
            try:
                with path.open("a", encoding="utf-8") as sink:
                    sink.write(row_to_json(row) + "\n")
            except OSError as error:
                raise PathError.from_os(path, error) from error

    def end(self, rows: Sequence[Row]) -> None:
        """Write everything that was asked for; the JSON again, now in the order of the command line."""
        from zipllm.bench.tables import to_csv, to_markdown
        from zipllm.report.bench_page import bench_page

        options = self.options
        if options.rows:
            _write_rows(options.rows, rows)
        for path, text in ((options.csv, to_csv), (options.markdown, to_markdown), (options.html, bench_page)):
            if path:
                replace_text(path, text(rows))
        if options.figures:
            from zipllm.report.plots import save_figures

            save_figures(rows, options.figures)


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
