"""Changes of the steps of a definition. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from muster.domains.work.workflows.errors import StepNameTaken, StepNotFound, WorkflowNotOfSteps
from muster.domains.work.workflows.notations import Read, step_name
from muster.kernel.ids import new_id

Steps = list[dict[str, Any]]

_PARTS = ("nodes", "actions")


def steps_of(read: Read) -> Steps:
    """Return the steps of a workflow to be changed; raises where it is written otherwise.

    What is still empty can become one of steps.
    """
    if (read.notation != "steps" and read.document.get("nodes")) or read.document.get("actions"):
        raise WorkflowNotOfSteps(
            f"The workflow is written in the notation {read.notation}; change its definition, or "
            "replace it by what GET /workflows/{id}/export?notation=steps answers."
        )
    steps = cast("list[Mapping[str, Any]]", read.document.get("steps") or [])
    return [dict(step) for step in steps]


def with_steps(read: Read, steps: Steps) -> dict[str, Any]:
    """Return the definition with other steps."""
    kept = {name: value for name, value in read.document.items() if name not in _PARTS}
    return {**kept, "steps": steps}


def add_step(steps: Steps, given: Mapping[str, Any]) -> int:
    """Add a step; return its place. Raises `StepNameTaken`."""
    _require_free(steps, given["name"], None)
    order = given.get("order")
    if order is None:
        numbers = [s["order"] for s in steps if isinstance(s.get("order"), int | float)]
        order = max([len(steps), *numbers]) + 1
    steps.append({"id": new_id(), **given, "order": order})
    return len(steps) - 1


def find_step(steps: Steps, reference: str) -> int:
    """Return the place of a step by name or id; raises `StepNotFound`."""
    for index, step in enumerate(steps):
        if step_name(step, index) == reference:
            return index
    for index, step in enumerate(steps):
        if step.get("id") == reference:
            return index
    raise StepNotFound


def change_step(steps: Steps, reference: str, changes: Mapping[str, Any]) -> int:
    """Change a step; others that depend on it learn its new name. Return its place."""
    index = find_step(steps, reference)
    before = step_name(steps[index], index)
    name = changes.get("name", before)
    if name != before:
        _require_free(steps, name, index)
        for step in steps:
            _replace(step, {before}, [name])
    changed = {**steps[index], **changes}
    if "step_type" in changes:
        changed.pop("type", None)
    steps[index] = changed
    return index


def remove_step(steps: Steps, reference: str) -> None:
    """Remove a step; what depended on it depends on what it depended on."""
    index = find_step(steps, reference)
    removed = steps.pop(index)
    names = {str(step_name(removed, index)), str(removed.get("id"))}
    instead = _dependencies(removed)
    for step in steps:
        _replace(step, names, [name for name in instead if name not in names])


def _dependencies(step: Mapping[str, Any]) -> list[Any]:
    given: Any = step.get("depends_on") or []
    return list(cast("list[Any]", given)) if isinstance(given, list) else [given]


def _replace(step: dict[str, Any], names: set[str], instead: list[Any]) -> None:
    before = _dependencies(step)
    if not any(name in names for name in before):
        return
    after = [one for name in before for one in (instead if name in names else [name])]
    step["depends_on"] = list(dict.fromkeys(after))


def _require_free(steps: Steps, name: str, but: int | None) -> None:
    for index, step in enumerate(steps):
        if index != but and step_name(step, index) == name:
            raise StepNameTaken(f"A step is called {name!r}; give this one another name.")
