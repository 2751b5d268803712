"""What one can do with runs. Knows nothing of HTTP."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import (
    EXTERNAL,
    AgentSpec,
    find_agent,
    ready_snapshot,
)
from muster.domains.work.journal import JournalReader, Run, RunAction, RunStatus
from muster.domains.work.runs import lifecycle
from muster.domains.work.runs.creation import NewRun, insert_run
from muster.domains.work.runs.errors import (
    ForkPointInvalid,
    RunHasParent,
    RunIsExternal,
    RunStillActive,
    RunTargetMissing,
)
from muster.domains.work.runs.memory import RunMemory
from muster.domains.work.runs.naming import run_name
from muster.domains.work.runs.parts import Frozen, RunParts
from muster.domains.work.runs.presenting import present_status
from muster.domains.work.runs.prompting import with_defaults
from muster.domains.work.runs.repository import RunRepository
from muster.domains.work.runs.schemas import (
    ExecutionCreate,
    ExecutionList,
    ExecutionStatusOut,
    ForkRequest,
    HistoryList,
    RunFile,
    StopRequest,
)
from muster.kernel.db import after_commit
from muster.kernel.ids import new_id
from muster.kernel.paging import Rows
from muster.platform.access import Caller

PartialResults = list[dict[str, Any]]
"""What a run that did not come to its end has reached, step by step."""

StoredFiles = list[dict[str, str]]
"""Path and digest of each file that was put into the blob store."""

_NOT_RUNNING = "Execution is not running (current status: {status})"


class RunService:
    """Use cases of runs, for one caller.

    Args:
        session: Of the unit of work; reading methods may be given a reading one.
    """

    def __init__(
        self, session: AsyncSession, caller: Caller, parts: RunParts, *, timeout_s: int
    ) -> None:
        self._session, self._caller, self._parts = session, caller, parts
        self._timeout_s = timeout_s
        self._runs = RunRepository(session, caller.project_id)

    async def list(self, params: ExecutionList) -> Rows[Run]:
        return await self._runs.search(params)

    async def history(self, params: HistoryList) -> Rows[Run]:
        return await self._runs.history(params)

    async def get(self, run_id: str) -> Run:
        return await self._runs.get(run_id)

    async def status(self, run_id: str) -> ExecutionStatusOut:
        run = await self._runs.get(run_id)
        return present_status(run, *await self._runs.progress(run))

    async def _own(self, run_id: str) -> Run:
        """Return a run that is executed here, and so can be stopped and taken up again here."""
        run = await self._runs.get(run_id)
        if run.kind == EXTERNAL:
            raise RunIsExternal(
                "Its agent runs elsewhere and must be stopped or started again there; cancelling "
                "it here only closes its record."
            )
        return run

    async def create(
        self,
        body: ExecutionCreate,
        frozen: Frozen,
        *,
        run_id: str | None = None,
        origin: str = "start",
    ) -> Run:
        """Create a run of what was frozen and give it to the engine."""
        if frozen.agent_ids:
            await self._require_access(*frozen.agent_ids)
        snapshot = {**frozen.snapshot, "files": await self._stored(body.files)}
        run = await insert_run(
            self._session,
            self._caller,
            NewRun(
                id=run_id or new_id(),
                kind=frozen.kind,
                target_id=frozen.target_id,
                agent_id=frozen.agent_id,
                snapshot=snapshot,
                inputs=frozen.inputs,
                origin=origin,
                name=body.run_name or run_name(frozen.name, frozen.inputs),
                timeout_s=body.timeout_s or self._timeout_s,
                priority=body.priority.number,
            ),
        )
        lifecycle.submit_later(self._session, self._parts.engine, run)
        return run

    async def _stored(self, given: Sequence[RunFile]) -> StoredFiles:
        files: StoredFiles = []
        for file in given:
            data = file.content.encode()
            digest = sha256(data).hexdigest()
            await self._parts.blobs.put(digest, data)
            files.append({"path": file.path, "sha256": digest})
        return files

    async def cancel(self, run_id: str, reason: str | None) -> Run:
        """End a run at once; what a model or tool is doing for it is broken off."""
        run = await self._runs.get(run_id)
        text = reason or f"Cancelled by {self._caller.name}"
        await self._end_now(run, RunAction.CANCEL, text, result=None)
        return run

    async def stop(self, run_id: str, body: StopRequest) -> tuple[Run, str, PartialResults | None]:
        """Stop a run; returns it, what to say, and its partial results so far."""
        run = await self._own(run_id)
        if run.is_final:
            return run, _NOT_RUNNING.format(status=run.status), None
        partial = await self._partial(run) if body.preserve_partial_results else None
        waits = run.status in {RunStatus.PENDING, RunStatus.WAITING_FOR_APPROVAL}
        if body.stop_type == "graceful" and not waits:
            if run.status != RunStatus.STOPPING:
                await lifecycle.ask_to_stop(self._session, self._caller, run, reason=body.reason)
            await self._session.refresh(run)
            return run, "Execution stops after its present step", partial
        result = {"partial_results": partial} if partial else None
        reason = body.reason or f"Stopped by {self._caller.name}"
        await self._end_now(run, RunAction.STOPPED, reason, result=result)
        return run, "Execution stopped", partial

    async def _end_now(
        self, run: Run, action: RunAction, reason: str, *, result: dict[str, Any] | None
    ) -> None:
        await lifecycle.finish(
            self._session, self._caller, run, action, reason=reason, result=result
        )
        await self._session.refresh(run)
        engine, job_id = self._parts.engine, run.job_id

        async def cancel() -> None:
            await engine.cancel(job_id, reason)

        after_commit(self._session, cancel)

    async def resume(self, run_id: str) -> Run:
        """Take up a run that failed, was stopped or cancelled, where it was."""
        run = await self._own(run_id)
        if run.parent_run_id is not None:
            raise RunHasParent(f"Resume the run {run.parent_run_id}; this one goes on with it.")
        if run.agent_id is not None:
            await self._require_access(run.agent_id)
        await lifecycle.requeue(self._session, self._parts.engine, run, RunAction.RESUME)
        return run

    async def retry(self, run_id: str) -> Run:
        """Run the same again from the beginning: same snapshot, same inputs, new run."""
        run = await self._own(run_id)
        if not run.is_final:
            raise RunStillActive("Only a run that has ended can be retried; cancel it first.")
        copy = await self._copy(run, origin="retry", inputs=run.inputs, name=run.name)
        lifecycle.submit_later(self._session, self._parts.engine, copy)
        return copy

    async def _copy(
        self,
        run: Run,
        *,
        origin: str,
        inputs: dict[str, Any],
        name: str,
        model: str | None = None,
        seq: int | None = None,
    ) -> Run:
        if run.agent_id is not None:
            await self._require_access(run.agent_id)
        snapshot = {**run.snapshot, "model": model} if model else run.snapshot
        return await insert_run(
            self._session,
            self._caller,
            NewRun(
                kind=run.kind,
                target_id=run.target_id,
                agent_id=run.agent_id,
                snapshot=snapshot,
                inputs=inputs,
                name=name,
                timeout_s=run.timeout_s,
                priority=run.priority,
                origin=origin,
                origin_run_id=run.id,
                origin_seq=seq,
            ),
        )

    async def fork(self, run_id: str, body: ForkRequest) -> Run:
        """Make a run that shares the first steps of another; they are copied when it starts."""
        run = await self._own(run_id)
        if body.from_seq > run.head_seq:
            raise ForkPointInvalid(
                f"The run has {run.head_seq} steps; choose from_seq between 1 and {run.head_seq}."
            )
        if body.inputs is not None and body.from_seq > 1:
            raise ForkPointInvalid(
                "Other inputs change everything after the first step; fork from_seq 1 with them."
            )
        copy = await self._copy(
            run,
            origin="fork",
            inputs=run.inputs if body.inputs is None else body.inputs,
            name=body.run_name or f"{run.name} (fork)"[:255],
            model=body.model,
            seq=body.from_seq,
        )
        lifecycle.submit_later(self._session, self._parts.engine, copy)
        return copy

    async def _require_access(self, *agent_ids: str) -> None:
        rules = self._parts.access_rules
        for agent_id in sorted(agent_ids):
            await rules.require(self._caller, "agent", {agent_id}, self._session)

    async def _partial(self, run: Run) -> PartialResults:
        memory = RunMemory(run, run.fence, run.started_at or run.created_at)
        rows = await JournalReader(self._session).steps(run.id)
        await memory.load(rows, (), (), self._parts.blobs)
        return memory.partial_results()


async def frozen_agent(
    session: AsyncSession, project_id: str, parts: RunParts, body: ExecutionCreate
) -> Frozen:
    """Return the agent to run as it is now, or say what it lacks.

    Asks model servers, so it is given a reading session and never the writing one.
    """
    if not body.agent_id:
        raise RunTargetMissing
    agent = await find_agent(session, project_id, body.agent_id)
    snapshot = await ready_snapshot(session, agent, parts.models, parts.tools, model=body.model)
    return Frozen(
        kind="agent",
        name=agent.name,
        snapshot=snapshot,
        inputs=with_defaults(AgentSpec.model_validate(snapshot["agent"]), body.inputs),
        agent_id=agent.id,
        agent_ids=frozenset({agent.id}),
    )
