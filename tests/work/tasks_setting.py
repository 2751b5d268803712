"""What the tests of tasks share: tasks made through HTTP, and a launcher of their agents."""

from typing import Any

import httpx2

from muster.domains.work.journal import Run
from muster.domains.work.runs import ExecutionCreate, RunParts, snapshot_of
from muster.domains.work.runs.creation import NewRun, insert_run
from muster.domains.work.runs.lifecycle import submit_later
from muster.domains.work.tasks import Target, find_task, follow_run, spec_of
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller


class AgentLauncher:
    """Runs a task as a run of its agent, with its description as the question."""

    def __init__(self, muster: Muster) -> None:
        self._parts: RunParts = muster.app.state.run_parts
        self.launched: list[tuple[str, str]] = []

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
        async with self._parts.database.read() as session:
            if await session.get(Run, run_id) is not None:
                return run_id
            task = await find_task(session, caller.project_id, target.reference)
            spec = spec_of(task)
            body = ExecutionCreate(agent_id=spec.agent, model=model)
            agent, snapshot = await snapshot_of(session, caller, self._parts, body)
        async with self._parts.database.write() as session:
            new = NewRun(
                id=run_id,
                kind="task",
                agent=agent,
                snapshot={**snapshot, "files": []},
                inputs={"prompt": spec.description, **inputs},
                name=name or task.name,
                timeout_s=60,
                origin=origin,
            )
            run = await insert_run(session, caller, new)
            run.target_id = task.id
            submit_later(session, self._parts.engine, run)
        self.launched.append((task.id, run_id))
        return run_id


async def make_task(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/tasks", json={"name": "Research Task", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def make_agent(client: httpx2.AsyncClient, *, started: bool = False, **fields: Any) -> Any:
    body = {"name": "Researcher", "key": "researcher", "llm": "builtin/extractive", **fields}
    answer = await client.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    if started:
        begun = await client.post(f"/agents/{answer.json()['id']}/start")
        assert begun.status_code == 200, begun.text
    return answer.json()


async def read(client: httpx2.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"/tasks/{task['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def follow(
    muster: Muster,
    task: dict[str, Any],
    run_id: str,
    status: str,
    *,
    result: Any = None,
    error: dict[str, Any] | None = None,
) -> None:
    """Tell a task in a unit of work what its run does."""
    caller = Caller.system(task["group_id"])
    async with muster.database.write() as session:
        await follow_run(session, caller, task["id"], run_id, status, result, error)


async def event_types(client: httpx2.AsyncClient, task: dict[str, Any]) -> list[str]:
    """Return the types of the events about a task, oldest first."""
    answer = await client.get("/events", params={"subject_id": task["id"], "limit": 100})
    return [event["type"] for event in reversed(answer.json()["items"])]
