"""The runs that a plan starts: each agent at work, each nested crew and workflow, is one."""

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from muster.domains.work.journal import Run, RunStatus, Step, StepKind
from muster.domains.work.plans.scope import key_of_node
from muster.domains.work.plans.tasks import TaskSpec
from muster.domains.work.runs import NewRun, Segment, run_child
from muster.kernel.placeholders import fill

_BROKEN_OFF = frozenset({RunStatus.STOPPED, RunStatus.CANCELLED})
"""A child that did not come to its end goes on where it was when its plan is taken up again."""
_BROKEN_OFF_OR_FAILED = _BROKEN_OFF | {RunStatus.FAILED}
_FILLED = ("role", "goal", "backstory", "instructions")


class PlanChildren:
    """Runs children of one plan's run, in the process that has it."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment

    async def agent(
        self,
        frozen: Mapping[str, Any],
        prompt: str,
        key: str,
        *,
        name: str,
        inputs: Mapping[str, Any],
        timeout_s: float | None = None,
        task: TaskSpec | None = None,
    ) -> Run:
        """Run an agent on a prompt to its end; the same key finds the same run."""
        spec: dict[str, Any] = {**frozen["agent"], "prompt": None}
        for text in _FILLED:
            if spec.get(text):
                spec[text] = fill(spec[text], inputs)
        if task is not None:
            _for_task(spec, task)
        if not self._segment.run.snapshot.get("memory", True):
            spec["memory"] = False
        limit = self._segment.run.snapshot.get("max_rpm")
        if limit:
            spec["max_rpm"] = min(limit, spec.get("max_rpm") or limit)
        new = NewRun(
            kind="agent",
            agent_id=frozen["agent_id"],
            snapshot={**self._shared(), **frozen, "agent": spec},
            inputs={"prompt": prompt},
            name=f"{name} ({spec['name']})"[:255],
            **self._place(key, timeout_s),
        )
        return await self._run(new, key)

    async def plan(
        self, frozen: Mapping[str, Any], inputs: Mapping[str, Any], key: str, *, timeout_s: Any
    ) -> Run:
        """Run a nested crew or workflow to its end."""
        new = NewRun(
            kind=frozen["kind"],
            target_id=frozen["id"],
            agent_id=None,
            snapshot={**self._shared(), **frozen},
            inputs=dict(inputs),
            name=frozen["agent"]["name"],
            **self._place(key, timeout_s),
        )
        return await self._run(new, key)

    def _shared(self) -> dict[str, Any]:
        run = self._segment.run
        return {"files": [], "workspace_of": run.snapshot.get("workspace_of", run.id)}

    def _place(self, key: str, timeout_s: float | None) -> dict[str, Any]:
        run = self._segment.run
        return {
            "origin": "plan",
            "timeout_s": min(run.timeout_s, math.ceil(timeout_s or run.timeout_s)),
            "priority": run.priority,
            "parent_run_id": run.id,
            "parent_key": key,
        }

    async def _run(self, new: NewRun, key: str) -> Run:
        segment = self._segment
        parts = segment.parts

        async def prepare() -> NewRun:
            if new.agent_id is not None:
                async with parts.database.read() as session:
                    await parts.access_rules.require_starter(
                        segment.root.started_by_id,
                        segment.run.project_id,
                        "agent",
                        {new.agent_id},
                        session,
                    )
            return new

        return await run_child(
            parts,
            segment.parent,
            segment.execute_child,
            prepare,
            step_key=key,
            reopened=await self._reopened(key),
        )

    async def _reopened(self, key: str) -> frozenset[RunStatus]:
        """Return how a child may have ended that goes on all the same.

        One that failed does so when its node has failed for good since, and a person let the plan
        go on. Until then it is an attempt that is over.
        """
        segment = self._segment
        failures = segment.memory.times(f"x{key_of_node(key)}")
        if not failures:
            return _BROKEN_OFF
        statement = (
            select(func.count())
            .select_from(Step)
            .join(Run, Run.id == Step.run_id)
            .where(
                Run.parent_run_id == segment.run.id,
                Run.parent_key == key,
                Step.kind == StepKind.TASK_ERROR.value,
            )
        )
        async with segment.parts.database.read() as session:
            attempts = await session.scalar(statement) or 0
        return _BROKEN_OFF_OR_FAILED if attempts <= failures else _BROKEN_OFF


def _for_task(spec: dict[str, Any], task: TaskSpec) -> None:
    spec["tools"] = list(dict.fromkeys([*spec.get("tools", []), *task.tools]))
    spec["tool_configs"] = {**spec.get("tool_configs", {}), **task.tool_configs}
    if task.output_schema is not None:
        spec["output_schema"] = task.output_schema
