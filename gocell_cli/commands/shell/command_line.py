"""How functions become commands: each takes `--quiet`, and options that several share are one dataclass."""

import functools
import inspect
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from gocell_cli.commands.shell.panels import in_panels
from gocell_cli.commands.shell.terminal import be_quiet
from gocell_cli.errors import UsageError

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Only what was asked for: no notes, no progress, of what was made only its path."
    ),
]


def _is_flag(option: Any) -> bool:
    return bool(option.is_flag or option.count)


def _unset_is_false(params: list[Any]) -> list[Any]:
    """Give flags that have no default (--help, --install-completion) False.

    For None, which is what they mean by it, Typer loads pydantic to make a flag of it: a quarter of `--help`'s time.
    """
    for param in params:
        if param.param_type_name == "option" and _is_flag(param) and param.default is None:
            param.default = False
    return params


class QuickGroup(TyperGroup):
    """The commands of a group."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the group's own options."""
        return _unset_is_false(super().get_params(ctx))


class OnceCommand(TyperCommand):
    """A command that refuses an option of one value that is given twice, where click would take the last."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's options and arguments."""
        return in_panels(getattr(self.callback, "__name__", ""), _unset_is_false(super().get_params(ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; raises UsageError where one of its options is given twice."""
        if not ctx.resilient_parsing:  # a shell that completes a line parses what is not finished
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            # flags may be repeated: each says the same
            once = [p for p in given if p.param_type_name == "option" and not (p.multiple or _is_flag(p))]
            for option, uses in Counter(once).items():
                if uses > 1:
                    raise UsageError(
                        f"{option.opts[0]} is given {uses} times, and takes one value", hint="leave one out"
                    )
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    """Registers commands, each with `--quiet` besides its own options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=QuickGroup, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Register a command; the function itself stays as it is."""
        register = super().command(name, cls=OnceCommand, **settings)

        def take(function: Callable[..., None]) -> Callable[..., None]:
            register(_with_quiet(function))
            return function

        return take


def as_typed(*more: str) -> str:
    """Return the command line in use as a shell reads it, with words that are put at its end unless they are there.

    A build that is interrupted prints and keeps it: it is the same command for whatever called the build.
    """
    return shlex.join(["gocell", *(word for word in sys.argv[1:] if word not in more), *more])


def _with_quiet(command: Callable[..., None]) -> Callable[..., None]:
    hints = get_type_hints(command, include_extras=True)
    given = inspect.signature(command).parameters.values()
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in given]
    for hint in hints.values():
        for told in getattr(hint, "__metadata__", ()):
            told.readable = False  # what may not be read is told by who reads it, as what is not there is; not by Typer
    quiet_option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)

    @functools.wraps(command)
    def run(*, quiet: bool, **values: Any) -> None:
        be_quiet(quiet)
        command(**values)

    # Typer reads signature and annotations, and takes from both: they must agree.
    run.__signature__ = inspect.Signature([*parameters, quiet_option])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, quiet_option)}
    return run


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with each parameter that is a dataclass replaced by that dataclass's fields.

    Typer reads the options from the signature; the command is called with the dataclass made of their values.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind) and isinstance(kind, type):
            groups[parameter.name] = kind
            parameters += _options(kind)
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        command(**given, **made)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(group)
    ]
