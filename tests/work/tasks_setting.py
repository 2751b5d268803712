"""What the tests of tasks share: tasks made through HTTP, and a launcher of their agents."""

from typing import Any

import httpx2

from muster.domains.work.launching import Launcher
from muster.domains.work.plans import Target
from muster.domains.work.tasks import follow_run
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller


class RecordingLauncher(Launcher):
    """Keeps which runs were launched, by whom they were asked for."""

    def __init__(self, muster: Muster) -> None:
        super().__init__(muster.running.parts, timeout_s=60)
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
        await super().launch(
            caller, target, inputs, run_id=run_id, origin=origin, name=name, model=model
        )
        self.launched.append((target.reference, run_id))
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
