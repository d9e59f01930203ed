"""``zipllm experiment``: named studies, each with its tables, figures and conclusion."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zipllm.cli import options
from zipllm.cli.messages import say
from zipllm.cli.results import write_stdout
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.experiments.page import Report
    from zipllm.experiments.study import Study

ALL, LIST = "all", "list"

Name = Annotated[
    str, typer.Argument(metavar="NAME|all|list", help="A study, all of them, or the list of them.", show_default=False)
]
Quick = Annotated[bool, typer.Option("--quick", help="Minutes (default).")]
FullSize = Annotated[
    bool, typer.Option("--full", help="Larger models and more data: 10 minutes to an hour and a half each.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of weights, data order and choices.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Corpora and training text; also $ZIPLLM_DATA_DIR."),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Results go to DIR/NAME-quick or DIR/NAME-full.")]
Resume = Annotated[bool, typer.Option("--resume", help="Keep what has been measured, do the rest.")]
Html = Annotated[bool, typer.Option("--html", help="Write the page as HTML, too.")]


def experiment(
    name: Name,
    quick: Quick = False,
    full: FullSize = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    out: Out = Path("runs/experiments"),
    resume: Resume = False,
    html: Html = False,
    quiet: options.Quiet = 0,
) -> None:
    """Run a study: prediction shown at work as compression, with tables, figures and a conclusion.

    Without corpora it learns from what lies on this machine: the sources and documentation of Python.
    """
    voice = Voice("experiment", 1 - quiet)

    def run() -> int:
        from zipllm.data.local import Places
        from zipllm.experiments.course import Settings, check_free, run_study
        from zipllm.experiments.studies import NAMES, find_study

        if name == LIST:
            write_stdout(_listing([find_study(each) for each in NAMES]))
            return 0
        if quick and full:
            raise UsageError("--quick and --full exclude each other")
        if data_dir is not None and not data_dir.is_dir():
            raise UsageError(f"--data-dir {data_dir}: no such folder")
        studies = [find_study(each) for each in (NAMES if name == ALL else (name,))]
        settings = Settings(out, "full" if full else "quick", seed, Places.default(data_dir), resume=resume, html=html)
        check_free(studies, settings)
        for study in studies:
            report = run_study(study, settings, _notice(study.name, voice))
            if voice.level >= 0:
                write_stdout(_shown(report, settings.folder(study)))
        return 0

    finish(voice, run)


def _notice(study: str, voice: Voice) -> Callable[[str], None]:
    def notice(text: str) -> None:
        if voice.level >= 1:
            say(f"zipllm: {study}: {text}")

    return notice


def _listing(studies: "list[Study]") -> str:
    lines = [
        f"{study.name:12} {study.question}\n{'':12} about {study.expected['quick'] / 60:.0f} min, "
        f"--full {study.expected['full'] / 60:.0f} min"
        for study in studies
    ]
    return "\n".join(lines) + "\n"


def _shown(report: "Report", folder: Path) -> str:
    """Tables and conclusion as text, and where the rest is."""
    from rich.text import Text

    from zipllm.cli.tables import new_table, render, shown

    parts = []
    for table in report.study.tables(report.rows):
        drawn = new_table(f"{report.study.name}: {table.title}", table.heads)
        for row in table.cells:
            drawn.add_row(*map(shown, row))
        parts.append(drawn)
    text = "".join(f"- {sentence}\n" for sentence in report.study.conclude(report.rows))
    text += "".join(f"- Left out: {what}.\n" for what in report.left_out)
    text += f"{report.cost()}\nPage, figures and rows: {folder}\n"
    return render([*parts, Text(text)])
