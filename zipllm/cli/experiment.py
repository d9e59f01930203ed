"""``zipllm experiment``: named studies, each with its tables, figures and conclusion."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.cli.options import FLAGS, DataOptions, QuietOptions, argument
from zipllm.errors import UsageError, suggestion

if TYPE_CHECKING:
    from zipllm.experiments.page import Report
    from zipllm.experiments.study import Scale, Study

ALL, LIST = "all", "list"


class ExperimentOptions(DataOptions, QuietOptions, command="experiment"):
    """Options of ``experiment``."""

    name: str = argument(metavar="NAME|all|list", help="A study, all of them, or the list of them.")
    quick: bool = FLAGS.switch("--quick", help="Small models, minutes (default).")
    full: bool = FLAGS.switch("--full", help="Larger models and more data: 10 minutes to an hour and a half each.")
    seed: int = FLAGS("--seed", min=0, metavar="N", help="Seed of weights, data order and choices.", default=0)
    out: Path = FLAGS(
        "--out", metavar="DIR", help="Results go to DIR/NAME-quick or DIR/NAME-full.", default=Path("runs/experiments")
    )
    model: list[str] | None = FLAGS(
        "--model",
        metavar="NAME|ID|PATH",
        help="A model to compare in the study llm, beside the shipped ones; may be repeated. By default all imported "
        "open models.",
    )
    resume: bool = FLAGS.switch("--resume", help="Keep what has been measured, do the rest.")
    html: bool = FLAGS.switch("--html", help="Also write the page as HTML.")


def experiment(options: ExperimentOptions) -> int:
    """Run a study that shows prediction at work as compression, with tables, figures and a conclusion.

    Without corpora it learns from text on this machine: the sources and documentation of Python.

    $ zipllm experiment list
    $ zipllm experiment context --quick
    """
    from zipllm.cli.tables import print_described
    from zipllm.experiments.course import Settings, check_free, run_study
    from zipllm.experiments.studies import NAMES, find_study

    if options.name not in (LIST, ALL, *NAMES):
        raise UsageError(f"no study called {options.name!r}{suggestion(options.name, (LIST, ALL, *NAMES))}")
    if options.name == LIST:
        print_described({each: _listing(find_study(each)) for each in NAMES})
        return 0
    if options.quick and options.full:
        raise UsageError("--quick and --full exclude each other")
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise UsageError(f"--data-dir {options.data_dir}: no such folder")
    if options.name not in (ALL, *NAMES):
        raise UsageError(f"no study called {options.name!r}{suggestion(options.name, (LIST, ALL, *NAMES))}")
    studies = [find_study(each) for each in (NAMES if options.name == ALL else (options.name,))]
    if options.model and not any(study.takes_models for study in studies):
        raise UsageError("--model is for the study llm")
    scale: Scale = "full" if options.full else "quick"
    settings = Settings(
        options.out, scale, options.seed, options.places, options.resume, options.html, tuple(options.model or ())
    )
    check_free(studies, settings)
    voice = options.voice
    for study in studies:

        def notice(text: str, name: str = study.name) -> None:
            voice.tell(f"zipllm: {name}: {text}")

        report = run_study(study, settings, notice)
        if voice.level >= 0:
            _print(report, settings.folder(study))
    return 0


def _listing(study: "Study[Any]") -> tuple[str, str]:
    quick, full = (f"{study.expected[scale] / 60:.0f} min" for scale in ("quick", "full"))
    return study.question, f"about {quick}, --full {full}"


def _print(report: "Report", folder: Path) -> None:
    """Print conclusion and tables, and where the page lies."""
    from zipllm.cli.tables import new_table, print_parts

    tables = report.study.tables(report.rows)
    parts = [new_table(f"{report.study.name}: {table.title}", table.heads, table.cells) for table in tables]
    found = "".join(f"- {sentence}\n" for sentence in report.study.conclude(report.rows))
    text = "".join(f"Left out: {what}.\n" for what in report.left_out)
    text += f"{report.cost()}\nPage, figures and rows: {folder}\n"
    print_parts([found, *parts, text])
