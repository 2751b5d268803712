"""Starting runs of anything: what is named is found, frozen, and given to the engine."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from muster.domains.work.crews import read_definitions
from muster.domains.work.journal import Run
from muster.domains.work.launching.errors import (
    TargetAmbiguous,
    TargetInvalid,
    TargetMistyped,
)
from muster.domains.work.launching.stored import StoredDefinitions
from muster.domains.work.launching.strictness import require_sound_crew, require_sound_workflow
from muster.domains.work.plans import Freezer, Shelf, Target, TargetKind, holds_workflow
from muster.domains.work.runs import (
    ExecutionCreate,
    Frozen,
    RunParts,
    RunService,
    RunTargetMissing,
    frozen_agent,
)
from muster.domains.work.tasks import find_task, spec_of
from muster.domains.work.workflows import read_workflow
from muster.kernel.db import is_unique_violation
from muster.kernel.errors import FieldError
from muster.platform.access import Caller

_KINDS: dict[str, TargetKind] = {
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
        self._stored = StoredDefinitions(parts)
        self._shelf = Shelf(
            reading=parts.database.read,
            models=parts.models,
            tools=parts.tools,
            stored=self._stored,
        )

    async def freeze(self, project_id: str, body: ExecutionCreate) -> Frozen:
        """Return what the body names as it is now; what it lacks is told all at once."""
        _require_one_target(body)
        if body.agent_id:
            async with self._parts.database.read() as session:
                return await frozen_agent(session, project_id, self._parts, body)
        freezer = Freezer(self._shelf, project_id, body.model)
        if body.task_id:
            async with self._parts.database.read() as session:
                task = await find_task(session, project_id, body.task_id)
            body = body.model_copy(update={"inputs": {**task.inputs, **body.inputs}})
            return _frozen("task", task.id, await freezer.task(spec_of(task)), body)
        if body.crew_id:
            crew_id, crew = await self._stored.crew(project_id, body.crew_id, body.model)
            return _frozen("crew", crew_id, await freezer.crew(crew), body)
        if body.workflow_id:
            workflow_id, workflow = await self._stored.workflow(project_id, body.workflow_id)
            return _frozen("workflow", workflow_id, await freezer.workflow(workflow), body)
        if body.workflow is not None:
            read = read_workflow(body.workflow)
            await require_sound_workflow(read.spec.name, read)
            return _frozen("workflow", None, await freezer.workflow(read.spec), body)
        if body.tasks_yaml is None:
            raise RunTargetMissing
        crew = read_definitions(
            body.agents_yaml,
            body.tasks_yaml,
            name=body.crew_name or "Crew",
            process=body.process,
            model=body.model,
            manager_llm=body.manager_llm,
        )
        await require_sound_crew(self._parts, project_id, crew)
        return _frozen("crew", None, await freezer.crew(crew), body)

    async def launch(
        self,
        caller: Caller,
        target: Target,
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
    target: Target, inputs: dict[str, Any], name: str | None, model: str | None
) -> ExecutionCreate:
    given: dict[str, Any] = {"inputs": inputs, "run_name": name, "model": model}
    if target.definition is None:
        given[f"{target.kind}_id"] = target.reference
    elif (
        target.kind == "workflow"
        and not holds_workflow(target.definition)
        and holds_workflow(target.definition.get("flow_config"))
    ):
        given["workflow"] = target.definition["flow_config"]
        given["model"] = model or target.definition.get("model")
    elif target.kind == "workflow":
        kept = target.definition.items()
        given["workflow"] = {k: v for k, v in kept if k not in _BESIDE_A_WORKFLOW}
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


def _frozen(
    kind: str, target_id: str | None, snapshot: dict[str, Any], body: ExecutionCreate
) -> Frozen:
    agents = {
        frozen["agent_id"]
        for frozen in [*snapshot["agents"].values(), snapshot.get("manager")]
        if frozen and frozen["agent_id"]
    }
    return Frozen(
        kind=kind,
        name=snapshot["agent"]["name"],
        snapshot=snapshot,
        inputs=body.inputs,
        target_id=target_id,
        agent_id=None,
        agent_ids=frozenset(agents),
    )
