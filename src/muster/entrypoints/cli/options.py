"""Options that many commands share, and the settings that they lead to."""

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from muster.kernel.settings import Settings

DATA_DIR: ContextVar[Path | None] = ContextVar("DATA_DIR", default=None)
"""What the option --data-dir of this call says."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
InProject = Annotated[
    str | None,
    typer.Option("--project", help="Name or id of the project.", metavar="NAME"),
]
RunId = Annotated[
    str, typer.Argument(help="Id of the run; its beginning or end is enough.", metavar="ID")
]
NoLive = Annotated[bool, typer.Option("--no-live", help="Print the answer only, at the end.")]
Model = Annotated[
    str | None, typer.Option("--model", help="Model in place of the agent's own.", metavar="M")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        help="Value of a placeholder: name=text, or name=@file for the text of a file.",
        metavar="K=V",
    ),
]


def read_settings(**given: Any) -> "Settings":
    """Return the settings of this call: the environment, and above it what the options say.

    Raises:
        UnsafeSettings: A value is not one that the setting takes.
    """
    from pydantic import ValidationError

    from muster.kernel.settings import Settings, UnsafeSettings

    if (folder := DATA_DIR.get()) is not None:
        given["data_dir"] = folder
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [
            f"MUSTER_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors(include_input=False)
        ]
        raise UnsafeSettings("\n".join(["A setting has a wrong value.", *problems])) from None


def read_inputs(given: list[str] | None) -> dict[str, str]:
    """Return the values of `--input` by name, those of files read."""
    from muster.entrypoints.cli.terminal import Refusal

    inputs: dict[str, str] = {}
    for entry in given or []:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise Refusal(f"--input takes name=value or name=@file, not {entry!r}.")
        inputs[name] = read_text(Path(value[1:])) if value.startswith("@") else value
    return inputs


def read_text(path: Path) -> str:
    """Return the text of a file."""
    from muster.entrypoints.cli.terminal import Refusal

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refusal(f"{path} is not a text file in UTF-8.") from None
