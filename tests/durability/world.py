"""What a test of durability holds in its hands, and what must be true of every run afterwards."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from muster.domains.work.journal import JournalReader, Run
from muster.engine import Executor
from muster.entrypoints.assembly import Muster
from tests.durability.servers import PlannedModel, ToolServer, prompt
from tests.durability.workers import PATIENCE_S, Worker, Workers, until
from tests.support.people import People
from tests.work.driving import FINAL, make_agent


@dataclass(frozen=True, slots=True)
class Head:
    """Where a run stands in the database."""

    status: str
    seq: int
    fence: int
    segment: int
    executor_id: str | None


@dataclass(slots=True)
class Started:
    """A run, the name by which the servers know it, and what its journal held at each kill."""

    id: str
    name: str
    finished: set[str] = field(default_factory=set[str])
    kills: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The product as its users see it, its workers, and the servers that it talks to.

    `control` is a process that starts runs and executes none.
    """

    control: Muster
    people: People
    model: PlannedModel
    tools: ToolServer
    workers: Workers

    async def has_job(self, run: Started, segment: int = 1) -> bool:
        """Tell whether the engine means to execute a segment of the run."""
        engine = self.control.running.engine
        assert engine is not None
        return bool(await engine.known([f"{run.id}:{segment}"]))

    async def agent(self, *tools: str, **fields: Any) -> dict[str, Any]:
        return await make_agent(self.people.editor, tools=list(tools), **fields)

    async def tool(self, name: str, method: str, **fields: Any) -> None:
        """Define a tool of kind http that calls the tool server."""
        configuration = {
            "method": method,
            "url": f"{self.tools.url}/{name}/{{run}}/{{part}}",
            "timeout_s": 300,
        }
        body = {"name": name, "tool_type": "http", "configuration": configuration, **fields}
        answer = await self.people.editor.post("/tools", json=body)
        assert answer.status_code == 201, answer.text

    async def start(self, agent: dict[str, Any], plan: str, name: str, **body: Any) -> Started:
        given = {"agent_id": agent["id"], "inputs": {"prompt": prompt(plan, name)}, **body}
        answer = await self.people.operator.post("/executions", json=given)
        assert answer.status_code == 201, answer.text
        return Started(answer.json()["execution_id"], name)

    async def heads(self, runs: Iterable[Started]) -> list[Head]:
        ids = [run.id for run in runs]
        columns = (Run.id, Run.status, Run.head_seq, Run.fence, Run.segment, Run.executor_id)
        async with self.control.database.read() as session:
            rows = {row[0]: row for row in await session.execute(select(*columns))}
        return [Head(*rows[run_id][1:]) for run_id in ids]

    async def head(self, run: Started) -> Head:
        return (await self.heads([run]))[0]

    async def until_seq(self, run: Started, seq: int) -> Head:
        """Wait until the run was taken up and its journal has so many steps."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            head = await self.head(run)
            if head.seq >= seq and head.fence:
                return head
            assert time.monotonic() < deadline, f"still {head}; {self.workers.nursery.said()}"
            await asyncio.sleep(0.002)

    async def until_ended(self, *runs: Started) -> None:
        """Wait until all of the runs have a final status."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            heads = await self.heads(runs)
            if all(head.status in FINAL for head in heads):
                return
            assert time.monotonic() < deadline, f"{heads}; {self.workers.nursery.said()}"
            await asyncio.sleep(0.02)

    async def until_status(self, run: Started, status: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (head := await self.head(run)).status != status:
            assert head.status not in FINAL, head
            assert time.monotonic() < deadline, f"still {head}; {self.workers.nursery.said()}"
            await asyncio.sleep(0.01)

    async def until_asked(self, run: Started, part: str, times: int = 1) -> None:
        """Wait until the tool server was asked for a part of the run so often."""
        await until(lambda: self.tools.asked[run.name, part] >= times)

    async def child(self, run: Started, name: str) -> Started:
        """Return the run that this one started."""
        async with self.control.database.read() as session:
            found = await session.scalar(select(Run.id).where(Run.parent_run_id == run.id))
        assert found is not None
        return Started(found, name)

    async def executor(self, run: Started) -> Worker:
        """Return the worker that has the run."""
        async with self.control.database.read() as session:
            statement = select(Executor.pid).join(Run, Run.executor_id == Executor.id)
            pid = await session.scalar(statement.where(Run.id == run.id))
        assert pid is not None, await self.head(run)
        return self.workers.by_pid(pid)

    async def keys(self, run: Started) -> list[str]:
        async with self.control.database.read() as session:
            return [row.key for row in await JournalReader(session).steps(run.id)]

    async def kill(self, worker: Worker, *runs: Started) -> None:
        """Kill a worker and note what the journals of its runs held."""
        await worker.kill()
        for run in runs:
            run.finished |= set(await self.keys(run))
            run.kills += 1

    async def question(self, run: Started) -> dict[str, Any]:
        """Wait until the run waits for a person, and return what it asks."""
        await self.until_status(run, "waiting_for_approval")
        answer = await self.people.viewer.get("/approvals", params={"run_id": run.id})
        (found,) = (item for item in answer.json()["items"] if item["status"] == "pending")
        return found

    async def approve(self, question: dict[str, Any], **body: Any) -> None:
        path = f"/approvals/{question['id']}/approve"
        answer = await self.people.operator.post(path, json=body)
        assert answer.status_code == 200, answer.text

    async def get(self, run: Started) -> dict[str, Any]:
        answer = await self.people.viewer.get(f"/executions/{run.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def verify(self, run: Started) -> dict[str, Any]:
        answer = await self.people.viewer.get(f"/execution-trace/{run.id}/verify")
        assert answer.json()["valid"], answer.text
        return answer.json()

    async def check(self, run: Started, keys: Iterable[str], result: str) -> int:
        """Assert that the run completed as if nothing had happened; return how often it repeated.

        Its journal holds each step once and in one chain, nothing that had been recorded at a kill
        was asked for again, and of what was under way each kill repeats one step at most.
        """
        read = await self.get(run)
        assert (read["status"], read["result"]) == ("completed", result), read
        journal = await self.keys(run)
        assert sorted(journal) == sorted(keys), f"{run} {journal}"
        assert (await self.verify(run))["steps"] == len(journal)
        asked = {f"m{turn}": n for (name, turn), n in self.model.asked.items() if name == run.name}
        asked |= {part: n for (name, part), n in self.tools.asked.items() if name == run.name}
        outside = {key for key in keys if key in asked}
        assert set(asked) == outside, f"asked for steps that are not in the journal: {asked}"
        repeated = {key: n - 1 for key, n in asked.items() if n > 1}
        assert not run.finished & set(repeated), f"{run} repeated {repeated}"
        assert sum(repeated.values()) <= run.kills, f"{run} repeated {repeated}"
        return sum(repeated.values())
