"""From a function and its options to a command of typer."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, NoReturn, TypeVar, cast

import typer

from zipllm.cli.options import PANELS, Options
from zipllm.cli.voice import finish

Chosen = TypeVar("Chosen", bound=Options)


def add_command(app: typer.Typer, name: str, run: Callable[[Chosen], int]) -> None:
    """Add a command to a group: ``run`` takes ``options``, its docstring is the help, and it returns the exit code."""
    options: type[Chosen] = inspect.get_annotations(run)["options"]

    def command(**values: Any) -> NoReturn:
        chosen = options(**values)
        finish(chosen.voice, lambda: run(chosen))

    command.__signature__ = inspect.Signature(_parameters(options))  # type: ignore[attr-defined]  # typer reads it
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    app.command(name, help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))(command)


def new_group(help: str) -> typer.Typer:
    """Return a command that has commands of its own."""
    settings = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(help=help, add_completion=False, no_args_is_help=True, context_settings=settings)


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
