"""The course of a study: open its ledger, measure, write its page and figures."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.environment import environment
from zipllm.data.local import Places, find_copies
from zipllm.data.registry import corpora
from zipllm.errors import FileError, MissingPackage, UsageError
from zipllm.experiments.lab import Lab, Notice
from zipllm.experiments.ledger import Ledger
from zipllm.experiments.material import DOMAINS
from zipllm.experiments.page import Report, figure_lines, to_html, to_markdown
from zipllm.experiments.study import Rows, Scale, Study
from zipllm.report.figures import Figure
from zipllm.report.plots import draw_figure, require_matplotlib

ROWS, PAGE, HTML = "rows.jsonl", "page.md", "page.html"
_SITTING = "sitting "
"""Beginning of the keys of rows that say how long a sitting of the run took."""


@dataclass(frozen=True)
class Settings:
    """How a study is run.

    Attributes:
        out: folder of all studies; each has one of its own in it.
        scale: how much is computed.
        seed: of everything that is drawn.
        places: data folders.
        resume: go on with the rows that are there.
        html: also write the page as HTML.
    """

    out: Path
    scale: Scale = "quick"
    seed: int = 0
    places: Places = field(default_factory=lambda: Places(()))
    resume: bool = False
    html: bool = False

    def folder(self, study: Study) -> Path:
        """Where the results of a study go."""
        return self.out / f"{study.name}-{self.scale}"


def check_free(studies: Sequence[Study], settings: Settings) -> None:
    """Refuse before anything is computed if one of the folders holds an earlier run that is not to go on.

    Raises:
        UsageError: it does.
    """
    for study in studies:
        path = settings.folder(study) / ROWS
        if path.exists() and not settings.resume:
            raise UsageError(f"{path} holds an earlier run; --resume goes on, --out names another folder")


def run_study(study: Study, settings: Settings, notice: Notice) -> Report:
    """Run a study and write its results into its folder.

    Args:
        study: what.
        settings: how.
        notice: told in one line what goes on.

    Returns:
        What the page says.

    Raises:
        UsageError: the folder holds another run.
        FileError: it cannot be written, or there is no data.
        ZipllmError: whatever the study meets.
    """
    folder, models = settings.folder(study), settings.out / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        models.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error
    sizes = study.sizes[settings.scale]
    ledger = Ledger(folder / ROWS, _header(study, settings, sizes), resume=settings.resume)
    lab = Lab(ledger, models, settings.places, settings.seed, notice)
    clock, processor = time.perf_counter(), _processor_seconds()
    study.run(lab, sizes)
    sittings = sum(str(row["key"]).startswith(_SITTING) for row in ledger.rows)
    spent = {"seconds": time.perf_counter() - clock, "processor_s": _processor_seconds() - processor}
    ledger.measure(f"{_SITTING}{sittings + 1}", lambda: {**spent, "left_out": lab.left_out})
    report = make_report(study, ledger.header, ledger.rows)
    write_report(report, folder, notice, html=settings.html)
    return report


def make_report(study: Study, header: Mapping[str, Any], rows: Rows) -> Report:
    """Return what is said about the rows of a run."""
    measured = [row for row in rows if not str(row["key"]).startswith(_SITTING)]
    sittings = [row for row in rows if str(row["key"]).startswith(_SITTING)]
    return Report(
        study=study,
        header=header,
        rows=measured,
        seconds=sum(float(row["seconds"]) for row in sittings),
        processor_s=sum(float(row["processor_s"]) for row in sittings),
        left_out=tuple(dict.fromkeys(what for row in sittings for what in row["left_out"])),
    )


def write_report(report: Report, folder: Path, notice: Notice, *, html: bool) -> None:
    """Write page and figures; without matplotlib the page only, and one line that says so.

    Raises:
        FileError: the folder cannot be written.
    """
    drawn = _draw(report.study.figures(report.rows), folder, notice)
    try:
        (folder / PAGE).write_text(to_markdown(report, drawn), encoding="utf-8")
        if html:
            (folder / HTML).write_text(to_html(report), encoding="utf-8")
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error


def _draw(figures: Any, folder: Path, notice: Notice) -> list[tuple[Figure, str]]:
    """Draw what can be drawn, with the data beside it; returns the figures and their files' stems."""
    found = [(figure, re.sub(r"[^A-Za-z0-9._-]", "_", figure.name)) for figure in figures]
    try:
        for figure, stem in found:
            (folder / f"{stem}.jsonl").write_text(figure_lines(figure), encoding="utf-8")
        require_matplotlib()
        for figure, stem in found:
            draw_figure(figure, folder / stem)
    except MissingPackage as error:
        notice(f"no figures: {error}")
        return []
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error
    return found


def _header(study: Study, settings: Settings, sizes: Any) -> dict[str, Any]:
    arguments = [f"--{settings.scale}", "--seed", str(settings.seed)]
    machine = environment(arguments, program=f"zipllm experiment {study.name}")
    return {
        "study": study.name,
        "scale": settings.scale,
        "seed": settings.seed,
        "sizes": asdict(sizes),
        "material": _material(settings.places),
        "environment": machine,
    }


def _material(places: Places) -> list[str]:
    """Domains that come from a data folder; all others come from this machine."""
    found = {name for name, domain in DOMAINS.items() for folder in places.folders if _is_there(folder, domain.stem)}
    enwik8 = corpora()["enwik8"]
    if next(find_copies(enwik8, enwik8.files[0], places), None):
        found.add("wiki")
    return sorted(found)


def _is_there(folder: Path, stem: str) -> bool:
    return bool(stem) and any((folder / "train" / "train").glob(f"{stem}*"))


def _processor_seconds() -> float:
    """Of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
