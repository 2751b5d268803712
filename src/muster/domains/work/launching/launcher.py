"""Starting runs of anything: what is named is found, frozen, and given to the engine."""

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from muster.domains.work.journal import Run
from muster.domains.work.launching.errors import (
    TargetAmbiguous,
    TargetInvalid,
    TargetMistyped,
)
from muster.domains.work.runs import (
    ExecutionCreate,
    Frozen,
    RunParts,
    RunService,
    frozen_agent,
)
from muster.kernel.db import is_unique_violation
from muster.kernel.errors import FieldError
from muster.platform.access import Caller

if TYPE_CHECKING:
    from muster.domains.work.plans import Target, TargetKind

_KINDS: "dict[str, TargetKind]" = {
    "agent_id": "agent",
    "task_id": "task",
    "crew_id": "crew",
    "workflow_id": "workflow",
    "tasks_yaml": "crew",
    "workflow": "workflow",
}
"""The fields that say what is to be run, and of which kind it is then."""
_OF_A_CREW = ("agents_yaml", "tasks_yaml", "crew_name", "process", "manager_llm", "model")
"""What a definition of a crew may say; what else was saved with it is for other readers."""
_BESIDE_A_WORKFLOW = frozenset({"edges", "flow_config", "planning", "process"})
"""What schedules keep with a workflow for other readers; a `flow_config` may be the workflow."""
_SHOWN = 5


class Launcher:
    """Starts runs. One per process.

    Args:
        parts: Parts of the process.
        timeout_s: Longest active time of a run that names none, in seconds.
    """

    def __init__(self, parts: RunParts, *, timeout_s: int) -> None:
        self._parts, self._timeout_s = parts, timeout_s

    async def freeze(self, project_id: str, body: ExecutionCreate) -> Frozen:
        """Return what the body names as it is now; what it lacks is told all at once."""
        _require_one_target(body)
        if body.agent_id:
            async with self._parts.database.read() as session:
                return await frozen_agent(session, project_id, self._parts, body)
        # Tasks, crews and workflows: no start is to wait for them, and most runs are of agents.
        from muster.domains.work.launching.freezing import freeze_plan

        return await freeze_plan(self._parts, project_id, body)

    async def launch(
        self,
        caller: Caller,
        target: "Target",
        inputs: dict[str, Any],
        *,
        run_id: str,
        origin: str,
        name: str | None = None,
        model: str | None = None,
    ) -> str:
        """Start a run and return its id; the same id twice starts it once.

        Raises an `AppError` that says what is missing.
        """
        async with self._parts.database.read() as session:
            if await session.get(Run, run_id) is not None:
                return run_id
        body = _body(target, inputs, name, model)
        frozen = await self.freeze(caller.project_id, body)
        try:
            async with self._parts.database.write() as session:
                service = RunService(session, caller, self._parts, timeout_s=self._timeout_s)
                await service.create(body, frozen, run_id=run_id, origin=origin)
        except IntegrityError as error:
            # Another process has started it in this moment.
            if not is_unique_violation(error):
                raise
        return run_id


def _require_one_target(body: ExecutionCreate) -> None:
    given = [name for name in _KINDS if getattr(body, name) not in (None, "")]
    if len(given) > 1:
        text = f"{', '.join(given)} are given: give one of them."
        raise TargetAmbiguous(text, errors=[FieldError(given[1], "one too many")])
    said = "workflow" if body.execution_type == "flow" else body.execution_type
    if given and said is not None and said != (kind := _KINDS[given[0]]):
        text = f"{given[0]} names a run of the kind {kind}: give that, or leave execution_type out."
        raise TargetMistyped(text, errors=[FieldError("execution_type", f"must be {kind}")])


def _body(
    target: "Target", inputs: dict[str, Any], name: str | None, model: str | None
) -> ExecutionCreate:
    given: dict[str, Any] = {"inputs": inputs, "run_name": name, "model": model}
    if target.definition is None:
        given[f"{target.kind}_id"] = target.reference
    elif target.kind == "workflow":
        given |= _workflow_of(target.definition, model)
    else:
        given |= {name: target.definition[name] for name in _OF_A_CREW if name in target.definition}
    try:
        return ExecutionCreate.model_validate(given)
    except ValidationError as error:
        found = [
            FieldError(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()
        ]
        text = "; ".join(f"{fault.field}: {fault.message}" for fault in found[:_SHOWN])
        raise TargetInvalid(text, errors=found) from error


def _workflow_of(definition: dict[str, Any], model: str | None) -> dict[str, Any]:
    # No start is to wait for plans.
    from muster.domains.work.plans import holds_workflow

    config = definition.get("flow_config")
    if holds_workflow(config) and not holds_workflow(definition):
        return {"workflow": config, "model": model or definition.get("model")}
    return {"workflow": {k: v for k, v in definition.items() if k not in _BESIDE_A_WORKFLOW}}
