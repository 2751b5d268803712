"""How many steps a second agents that run elsewhere can log, and how long they wait."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, at_least, less_than, none_at_all
from benchmarks.log_clients import LogWork
from benchmarks.machine import load
from benchmarks.processes import PASSWORD, Server, answer_of, muster_server, process
from benchmarks.timing import percentile

_CLIENTS = 16
_AT_ONCE = 50
_WARM_UP_S = 1.0
_HOW = (
    f"`POST /logs` of `muster serve`, over HTTP: {_CLIENTS} clients in another process, each with "
    "a connection, an agent key and a task of its own, post a step of about 1 KB at a time, the "
    "next one when the last one is answered, which is when it is durable. Computing is the CPU "
    f"time of the server for each step. Then {_AT_ONCE} clients post to one task at the same "
    "moment, and the chain of the task is verified."
)


async def measure(context: Context) -> Report:
    """Measure logging."""
    report = Report(name="logs", title="Logging of agents that run elsewhere", how=_HOW)
    for kind in context.databases:
        with context.scratch() as folder:
            async with fresh_database(kind, folder) as url:
                data = folder / "data"
                settings = {"MUSTER_DATABASE_URL": url}
                with muster_server(data, **settings) as server:
                    await asyncio.to_thread(server.wait_for_answer)
                    await _measure_on(context, report, kind, server, folder)
    return report


async def _measure_on(
    context: Context, report: Report, kind: str, server: Server, folder: Path
) -> None:
    context.say(f"{kind}: {_CLIENTS} clients")
    async with _agent(server) as agent:
        await agent.log(folder, _tasks("warm", _CLIENTS), _WARM_UP_S)
        cpu_s = server.cpu_s()
        seconds = context.pick(200, 60, 5) / 10
        found = await agent.log(folder, _tasks("task", _CLIENTS), seconds)
        cpu_s = server.cpu_s() - cpu_s
        times: Sequence[float] = found["times_ms"]
        name = f"{kind}, {_CLIENTS} clients"
        rate, slowest = (at_least(1000), less_than(50)) if kind == "sqlite" else (None, None)
        report.add(f"{name}: steps", len(times) / found["seconds"], "/s", rate)
        report.add(f"{name}: p50", percentile(times, 50), "ms")
        report.add(f"{name}: p99", percentile(times, 99), "ms", slowest)
        report.add(f"{name}: computing of a step", cpu_s / len(times) * 1000, "ms")
        report.notes.append(f"{kind}: the load of the machine was {load():.1f} at the end.")
        context.say(f"{kind}: {_AT_ONCE} posts at once to one task")
        await agent.log(folder, ["one"] * _AT_ONCE, 0)
        breaks = await agent.breaks("one", _AT_ONCE)
        report.add(f"{kind}, {_AT_ONCE} posts at once: breaks", breaks, "breaks", none_at_all())


def _tasks(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


@dataclass(frozen=True, slots=True)
class _Agent:
    """An agent with a key, and a person who reads what it logs."""

    server: Server
    person: httpx2.AsyncClient
    key: str
    id: str

    async def log(self, folder: Path, tasks: list[str], seconds: float) -> dict[str, Any]:
        """Post to the tasks from another process."""
        work = LogWork(
            port=self.server.port, key=self.key, agent_id=self.id, tasks=tasks, seconds=seconds
        )
        command = [sys.executable, "-m", "benchmarks.log_clients", json.dumps(asdict(work))]
        log = folder / "clients.log"
        with process(command, log, pipes=True) as started:
            found: dict[str, Any] = await asyncio.to_thread(answer_of, started, log)
        return found

    async def breaks(self, task_id: str, steps: int) -> int:
        """Return in how many places the chain of a task is not that of so many steps."""
        answer = await self.person.get(f"/logs/tasks/{task_id}", params={"limit": steps})
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        before = ["0" * 64, *(row["hash"] for row in rows)]
        unlinked = sum(
            row["previous_hash"] != previous for row, previous in zip(rows, before, strict=False)
        )
        misnumbered = sum(row["seq"] != seq for seq, row in enumerate(rows, 1))
        answer = await self.person.get(f"/logs/tasks/{task_id}/verify")
        verified = answer.raise_for_status().json()
        wrong = not verified["valid"] or verified["head_hash"] != before[-1]
        return unlinked + misnumbered + abs(steps - len(rows)) + wrong


@contextlib.asynccontextmanager
async def _agent(server: Server) -> AsyncIterator[_Agent]:
    async with httpx2.AsyncClient(base_url=f"{server.base_url}/api/v1", timeout=60) as client:

        async def posted(path: str, **body: str) -> dict[str, Any]:
            made: dict[str, Any] = (await client.post(path, json=body)).raise_for_status().json()
            return made

        signed_in = await posted("/auth/login", email="admin@muster.local", password=PASSWORD)
        client.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        key = (await posted("/auth/api-keys", name="agent"))["key"]
        client.headers["Authorization"] = f"Bearer {key}"
        agent = await posted("/agents", agent_key="reporter", name="Reporter")
        client.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        yield _Agent(server, client, key, agent["agent_id"])
