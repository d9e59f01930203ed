"""Run a study: open its ledger, measure, write its page and figures."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.environment import environment
from zipllm.data.local import Places
from zipllm.errors import MissingPackage, UsageError, file_errors
from zipllm.experiments.lab import Lab, Notice
from zipllm.experiments.ledger import SITTING, Ledger
from zipllm.experiments.material import data_files, domains_in
from zipllm.experiments.page import Report, figure_lines, to_html, to_markdown
from zipllm.experiments.study import Scale, Study
from zipllm.report.plots import draw_figure, require_matplotlib
from zipllm.temporary import private_as

ROWS, PAGE, HTML = "rows.jsonl", "page.md", "page.html"


@dataclass(frozen=True)
class Settings:
    """How a study is run; ``out`` is the parent of all studies' folders, ``models`` join studies that take some."""

    out: Path
    scale: Scale = "quick"
    seed: int = 0
    places: Places = field(default_factory=lambda: Places(()))
    resume: bool = False
    html: bool = False
    models: tuple[str, ...] = ()

    def folder(self, study: Study[Any]) -> Path:
        return self.out / f"{study.name}-{self.scale}"


def check_free(studies: Sequence[Study[Any]], settings: Settings) -> None:
    """Raise ``UsageError`` if a folder holds an earlier run and this one does not resume it."""
    for study in studies:
        path = settings.folder(study) / ROWS
        if path.exists() and not settings.resume:
            raise UsageError(f"{path} holds an earlier run; --resume goes on, --out names another folder")


def run_study(study: Study[Any], settings: Settings, notice: Notice) -> Report:
    """Run a study and write its results into its folder; ``notice`` reports progress.

    Raises:
        UsageError: the folder holds another run.
        FileError: the folder cannot be written, or data is missing.
        ZipllmError: any other error of the study.
    """
    check_free([study], settings)
    with private_as(data_files(settings.places)):
        return _run(study, settings, notice)


def _run(study: Study[Any], settings: Settings, notice: Notice) -> Report:
    folder, models = settings.folder(study), settings.out / "models"
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        models.mkdir(exist_ok=True)
    sizes = study.sizes[settings.scale]
    arguments = [f"--{settings.scale}", "--seed", str(settings.seed)]
    if study.takes_models:
        arguments += [word for name in settings.models for word in ("--model", name)]
    header = {
        "study": study.name,
        "scale": settings.scale,
        "seed": settings.seed,
        "sizes": asdict(sizes),
        "material": domains_in(settings.places),
        "environment": environment(arguments, program=f"zipllm experiment {study.name}"),
    }
    ledger = Ledger(folder / ROWS, header)
    lab = Lab(ledger, models, settings.places, settings.seed, notice, study.expected[settings.scale], settings.models)
    study.run(lab, sizes)
    spent = dict(zip(("seconds", "processor_s"), ledger.spent, strict=True))
    ledger.measure(f"{SITTING}{ledger.sitting}", lambda: spent, left_out=lab.left_out)
    report = Report(study, ledger.header, ledger.rows)
    write_report(report, folder, notice, html=settings.html)
    return report


def write_report(report: Report, folder: Path, notice: Notice, *, html: bool) -> None:
    """Write page and figures; without matplotlib only the page and the figures' data, after a notice.

    Raises:
        FileError: the folder cannot be written.
    """
    figures = [(each, re.sub(r"[^A-Za-z0-9._-]", "_", each.name)) for each in report.study.figures(report.rows)]
    with file_errors(folder):
        for figure, stem in figures:
            (folder / f"{stem}.jsonl").write_text(figure_lines(figure), encoding="utf-8")
        try:
            require_matplotlib()
        except MissingPackage as error:
            notice(f"no figures: {error}")
            figures = []
        for figure, stem in figures:
            draw_figure(figure, folder / stem)
        (folder / PAGE).write_text(to_markdown(report, figures), encoding="utf-8")
        if html:
            (folder / HTML).write_text(to_html(report), encoding="utf-8")
