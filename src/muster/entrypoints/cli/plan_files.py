"""Files that `muster run` takes: an agent, a crew or a workflow, told apart by what they hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from muster.domains.work.crews.sources import SourceBroken, read_source
from muster.domains.work.runs import ExecutionCreate
from muster.entrypoints.cli.options import read_text
from muster.entrypoints.cli.terminal import Refusal

_WORKFLOW = ("nodes", "steps", "actions", "workflow_definition")


def read_plan(
    file: Path, inputs: Mapping[str, Any], paths: Sequence[Path]
) -> tuple[ExecutionCreate, list[Path]] | None:
    """Return what starts the crew or workflow of a file; None where it is an agent's.

    What the file names under `files`, relative to itself, comes into the workspace as well.
    """
    try:
        found = read_source("file", read_text(file)).value
    except SourceBroken:
        # An agent's own reader says what is wrong with it.
        return None
    if not isinstance(found, dict):
        return None
    given = cast("dict[str, Any]", found)
    defaults: object = given.get("inputs") or {}
    if not isinstance(defaults, dict):
        raise Refusal("inputs must be a mapping of names to values.")
    body: dict[str, Any] = {"inputs": {**cast("dict[str, Any]", defaults), **inputs}}
    named: object = given.get("files") or []
    if not isinstance(named, list):
        raise Refusal("files must be a list of paths, relative to the file.")
    names = [str(name) for name in cast("list[object]", named)]
    missing = [name for name in names if not (file.parent / name).is_file()]
    if missing:
        raise Refusal(f"{missing[0]} is not there; files are named relative to {file.name}.")
    if "tasks" in given:
        body |= {
            "agents_yaml": given.get("agents"),
            "tasks_yaml": given["tasks"],
            "crew_name": given.get("name"),
            "process": given.get("process") or "sequential",
            "manager_llm": given.get("manager_llm"),
        }
    elif any(name in given for name in _WORKFLOW):
        body["workflow"] = given
    else:
        return None
    try:
        started = ExecutionCreate.model_validate(body)
    except ValidationError as error:
        fields = {".".join(map(str, item["loc"])): item["msg"] for item in error.errors()}
        raise Refusal("; ".join(f"{name}: {text}" for name, text in fields.items())) from None
    return started, [*(file.parent / name for name in names), *paths]
