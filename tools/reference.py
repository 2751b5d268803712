"""Writes the reference pages from the code: `python -m tools.reference`, with --check only looks.

Each page is made of what the product itself reads: the commands, the settings, the types of events
and the codes of errors. A test fails when a page no longer says what the code does.
"""

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
SOURCE = ROOT / "src"
_HEAD = "<!-- Made by `python -m tools.reference`; changes belong into the code. -->\n"


def load_everything() -> None:
    """Import what defines events and errors, so that the pages do not depend on who asks."""
    importlib.import_module("muster.entrypoints.cli.executing")
    importlib.import_module("muster.entrypoints.serving")
    for name in ("errors", "events"):
        for path in sorted(SOURCE.glob(f"muster/**/{name}.py")):
            parts = path.relative_to(SOURCE).with_suffix("").parts
            importlib.import_module(".".join(parts))


# -- the command line ----------------------------------------------------------------------------


def command_page() -> str:
    """Return the page of the commands."""
    import typer.main

    from muster.entrypoints.cli.main import app

    root = typer.main.get_command(app)
    lines = ["# The command line", "", *_prose(root.help), "", "## Options of every command", ""]
    lines += _parameters(root)
    for path, command in _commands(root, ("muster",)):
        lines += ["", f"## `{_usage(path, command)}`", "", *_prose(command.help), ""]
        lines += _parameters(command)
    return _page(lines)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name in command.list_commands(None) if children else ():
        yield from _commands(children[name], (*path, name))


def _prose(text: str | None) -> list[str]:
    paragraphs = [" ".join(part.split()) for part in (text or "").split("\n\n")]
    shown: list[str] = []
    for paragraph in paragraphs:
        head, separator, example = paragraph.partition("Example: ")
        shown += [head.strip(), ""] if head.strip() else []
        shown += ["```sh", example, "```", ""] if separator else []
    return shown[:-1]


def _usage(path: tuple[str, ...], command: Any) -> str:
    words = list(path)
    if any(p.param_type_name == "option" and p.name != "help" for p in command.params):
        words.append("[OPTIONS]")
    return " ".join([*words, *(str(p.metavar) for p in command.params if _positional(p))])


def _positional(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _parameters(command: Any) -> list[str]:
    rows = [
        f"| `{_called(p)}` | {_cell(p.help)} |"
        for p in command.params
        if p.name not in {"help", "install_completion", "show_completion"}
    ]
    return ["| | |", "| --- | --- |", *rows] if rows else ["No options."]


def _called(parameter: Any) -> str:
    if _positional(parameter):
        return str(parameter.metavar)
    names = ", ".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


# -- settings ------------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of the settings."""
    from muster.kernel.settings import Providers, Settings

    lines = [
        "# Settings",
        "",
        "Environment variables, read once when a process starts. Lists are separated by commas.",
        "",
    ]
    groups: list[tuple[str, Any]] = []
    lines += _SETTING_COLUMNS
    for name, field in Settings.model_fields.items():
        if _is_group(field.annotation):
            groups.append((name, field.annotation))
        else:
            lines.append(_setting(_variable(name, field), field))
    for name, group in groups:
        lines += ["", f"## {name.capitalize()}", "", *_prose(group.__doc__), "", *_SETTING_COLUMNS]
        for inner, field in group.model_fields.items():
            lines.append(_setting(f"MUSTER_{name}_{inner}".upper(), field))
    lines += ["", "## Model providers", "", *_prose(Providers.__doc__), "", "| Variable |"]
    lines += ["| --- |", *(f"| `{name.upper()}` |" for name in Providers.model_fields)]
    return _page(lines)


_SETTING_COLUMNS = ["| Variable | Value | Default | Meaning |", "| --- | --- | --- | --- |"]


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and hasattr(annotation, "model_fields")


def _variable(name: str, field: Any) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if alias is not None else f"MUSTER_{name}".upper()


def _setting(variable: str, field: Any) -> str:
    default = field.default
    shown = "" if default is None or default == [] else f"`{_default(default)}`"
    return f"| `{variable}` | {_value(field)} | {shown} | {_cell(field.description)} |"


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(field: Any) -> str:
    bounds = {type(item).__name__: item for item in field.metadata}
    low = bounds.get("Ge") or bounds.get("Gt")
    high = bounds.get("Le")
    words = _type_words(field.annotation)
    if low is not None:
        least = getattr(low, "ge", None)
        least = f"above {low.gt}" if least is None else f"from {least}"
        words += f", {least}"
    return f"{words} to {high.le}" if high is not None else words


def _type_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return " or ".join(_type_words(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    names = {"bool": "`true`, `false`", "int": "whole number", "float": "number", "Path": "path"}
    names |= {"str": "text", "SecretStr": "secret text", "list": "list"}
    return names[getattr(origin or annotation, "__name__", "")]


# -- events and errors ---------------------------------------------------------------------------


def event_page() -> str:
    """Return the page of the events."""
    from muster.platform.events import event_types

    lines = [
        "# Events",
        "",
        "Every change of state is one event, written in the transaction of the change. `data` of",
        "an event holds the fields named here.",
    ]
    subject = ""
    for name, event in sorted(event_types().items(), key=lambda item: (item[1].subject, item[0])):
        if not event.__module__.startswith("muster."):
            continue
        if event.subject != subject:
            subject = event.subject
            lines += ["", f"## {subject}", "", "| Type | Chain | Data |", "| --- | --- | --- |"]
        chain = "platform" if event.platform_wide else "project"
        lines.append(f"| `{name}` | {chain} | {_event_fields(event)} |")
    return _page(lines)


def _event_fields(event: Any) -> str:
    hints = get_type_hints(event)
    return ", ".join(
        f"`{field.name}` {_json_words(hints[field.name])}"
        for field in msgspec.structs.fields(event)
    )


def _json_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return " or ".join(_json_words(argument) for argument in arguments)
    if origin is list:
        return f"list of {_json_words(arguments[0])}"
    if origin is Literal:
        return " or ".join(f'"{argument}"' for argument in arguments)
    if annotation is type(None):
        return "null"
    names = {"str": "text", "int": "number", "float": "number", "bool": "true or false"}
    name = getattr(origin or annotation, "__name__", str(annotation))
    return names.get(name, "object" if name == "dict" else "text")


def error_page() -> str:
    """Return the page of the errors."""
    from muster.kernel.errors import AppError

    found = {
        (error.code, error.status, error.title)
        for error in _subclasses(AppError)
        if error.__module__.startswith("muster.")
    }
    lines = [
        "# Errors",
        "",
        "Errors are `application/problem+json`. `error` holds the code, which does not change;",
        "`detail` says what happened and what to do about it.",
        "",
        "| Code | Status | Meaning |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{code}` | {status} | {_cell(title)} |" for code, status, title in sorted(found)]
    return _page(lines)


def _subclasses(parent: Any) -> Iterator[Any]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


# -- pages ---------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command_page,
    "settings.md": settings_page,
    "events.md": event_page,
    "errors.md": error_page,
}


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _page(lines: list[str]) -> str:
    return _HEAD + "\n" + "\n".join(lines) + "\n"


def stale() -> list[str]:
    """Return the names of the pages that do not say what the code does."""
    load_everything()
    return [name for name, make in PAGES.items() if _read(FOLDER / name) != make()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write() -> None:
    """Write all pages."""
    load_everything()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are stale."""
    if arguments != ["--check"]:
        write()
        return 0
    old = stale()
    for name in old:
        print(f"docs/reference/{name} is stale: run `python -m tools.reference`.")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
