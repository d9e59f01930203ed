"""From a function and its options to a command of typer: its parser, and its help as plain text."""

import inspect
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, NoReturn, TypeVar, cast

import typer
from typer.core import TyperCommand, TyperGroup

from zipllm.cli.options import NO_LEVEL, PANELS, Options
from zipllm.cli.voice import finish
from zipllm.codec.levels import LEVELS, MAX_LEVEL, MIN_LEVEL

Chosen = TypeVar("Chosen", bound=Options)

_LEVEL_FLAGS = {f"-{level}": level for level in (0, *LEVELS)} | {"--fast": MIN_LEVEL, "--best": MAX_LEVEL}
"""What stands for ``--level``; -0 is there to be refused as a level, not as an unknown option."""
_WIDEST, _NARROWEST = 100, 20  # columns of the help


class _Command(TyperCommand):
    """A command whose help has groups of flags and, last, examples; ``-1`` to ``-9`` stand for ``--level``."""

    def make_parser(self, ctx: Any) -> Any:
        parser = super().make_parser(ctx)
        level = next((each for each in self.params if each.name == "level"), None)
        if level is None:
            return parser
        for flag, number in _LEVEL_FLAGS.items():
            parser.add_option(cast(Any, level), [flag], "level", action="store_const", const=str(number))
        parse = parser._process_opts

        def parse_one(argument: str, state: Any) -> None:
            before = len(state.order)
            parse(argument, state)
            if state.order[before:].count(level) > 1:
                raise typer.BadParameter(f"{argument}: {NO_LEVEL}", ctx)

        parser._process_opts = parse_one  # type: ignore[method-assign, assignment]  # the parser has no other place for it
        return parser

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _fit(formatter)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for each in cast(list[Any], self.get_params(ctx)):
            group = "Arguments" if each.param_type_name == "argument" else each.rich_help_panel or "Options"
            groups.setdefault(group, []).append(_record(*each.get_help_record(ctx)))
        for title, rows in groups.items():
            with formatter.section(title):
                _write_rows(formatter, rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.epilog:
            with formatter.section("Examples"):
                formatter.write(textwrap.indent(f"{self.epilog}\n", "  "))


class _Group(TyperGroup):
    """A command that has commands of its own: without one of them it shows its help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _fit(formatter)
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            rows = [(name, (each.help or "").partition("\n")[0]) for name, each in self.commands.items()]
            _write_rows(formatter, rows)


def _record(name: str, text: str) -> tuple[str, str]:
    """Return how the help shows a flag or argument: as typer does, without types, and with no note but the default."""
    flag, _, kind = name.partition(" <")
    if kind and name.startswith("-"):
        flag += " " + (kind[:-1] if "|" in kind else "N" if kind.startswith(("int", "float")) else "TEXT")
    text, _, notes = text.partition("  [")
    default = next((each for each in notes.removesuffix("]").split("; ") if each.startswith("default: ")), None)
    return flag, f"{text} ({default})" if default else text


def _fit(formatter: Any) -> None:
    formatter.width = max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST) - 1)


def _write_rows(formatter: Any, rows: list[tuple[str, str]]) -> None:
    formatter.write_dl(rows, col_max=min(28, formatter.width // 3))


def add_command(app: typer.Typer, name: str, run: Callable[[Chosen], int]) -> None:
    """Add a command to a group: ``run`` takes ``options`` and returns the exit code.

    Its docstring is the help; a paragraph that begins with ``$`` holds examples.
    """
    options: type[Chosen] = inspect.get_annotations(run)["options"]

    def command(**values: Any) -> NoReturn:
        chosen = options(**values)
        finish(chosen.voice, lambda: run(chosen))

    command.__signature__ = inspect.Signature(_parameters(options))  # type: ignore[attr-defined]  # typer reads it
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    texts = [" ".join(paragraph.split()) for paragraph in paragraphs if not paragraph.startswith("$")]
    examples = [paragraph for paragraph in paragraphs if paragraph.startswith("$")]
    app.command(name, cls=_Command, help="\n\n".join(texts), epilog="\n".join(examples))(command)


def new_group(help: str, **settings: Any) -> typer.Typer:
    """Return a command that has commands of its own."""
    return typer.Typer(
        cls=_Group,
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _parameters(options: type[Options]) -> list[inspect.Parameter]:
    """Return the arguments, then the flags panel by panel; in a panel a class's own come before those it inherits."""
    members = {member.name: member for member in fields(options)}  # type: ignore[arg-type]  # all are dataclasses
    names = dict.fromkeys(name for owner in options.__mro__ for name in inspect.get_annotations(owner))
    flags = [members[name] for name in names if name in members]
    flags.sort(key=lambda flag: PANELS.index(flag.metadata["typer"].rich_help_panel))
    return list(map(_parameter, flags))


def _parameter(member: Field[Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if member.default is MISSING else member.default
    annotation = cast(Any, Annotated)[member.type, member.metadata["typer"]]
    return inspect.Parameter(member.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
