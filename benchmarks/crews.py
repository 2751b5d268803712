"""A crew of three tasks: what each task costs beside peers, and many crews of many projects."""

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select

from benchmarks.context import Context
from benchmarks.databases import fresh_database, settings_for
from benchmarks.figures import Report, less_than, none_at_all
from benchmarks.handlers import Handlers, watched_handlers
from benchmarks.peers import PEERS, Peer, PeerFailed, RunningPeer, prepare_peers
from benchmarks.processes import model_server_process
from benchmarks.product import Product, product, provider
from benchmarks.timing import median
from muster.domains.work.journal import ACTIVE, Run
from muster.entrypoints.assembly import Muster

_TASKS = 3
_PROJECTS = 10
_CONCURRENCY = 16
_PATIENCE_S = 900
_CREW = "crew"
"""The prompt by which the programs of peers know that they are to run their crew."""
_HOW = (
    "One crew after the other, of three agents with a task each that hand on what they came to, "
    "against a scripted model server in a process of its own, on SQLite with journal, gate and "
    "durable engine; a crew is timed from sending `POST /executions` to the commit of its end. "
    "Peers run the same crew in turn with Muster, without any of this. Then runs of the crew are "
    "queued for ten projects, one project after the other, so that the last has all others before "
    "it, and only then worked off: fair is that each has about as many done as every other at any "
    "moment. Half time is when half of all runs have ended."
)


async def measure(context: Context) -> Report:
    """Measure crews."""
    report = Report(name="crews", title="Crews of three tasks", how=_HOW)
    missing = await asyncio.to_thread(prepare_peers, context)
    report.notes += [
        f"{peer.title}: not installed: run with --with-peers"
        for peer in PEERS
        if peer.name in missing
    ]
    with context.scratch() as folder:
        async with model_server_process(folder) as server, contextlib.AsyncExitStack() as stack:
            await server.answer_by_turn([{"text": "That is done."}])
            stack.enter_context(provider(server.base_url))
            handlers = stack.enter_context(watched_handlers())
            url = await stack.enter_async_context(fresh_database("sqlite", folder))
            assembled = await stack.enter_async_context(product(url, folder, engine="work"))
            peers = [peer for peer in PEERS if peer.name not in missing]
            await _one_by_one(context, report, assembled, handlers, server.base_url, folder, peers)
        # Queued while nothing is at work, else the first would be done before the last is there.
        async with model_server_process(folder) as server, contextlib.AsyncExitStack() as stack:
            await server.answer_by_turn([{"text": "That is done."}])
            stack.enter_context(provider(server.base_url))
            (folder / "many").mkdir()
            url = await stack.enter_async_context(fresh_database("sqlite", folder / "many"))
            async with product(url, folder / "many", engine="off") as quiet:
                projects = await _queue(context, report, quiet)
            settings = settings_for(url, folder / "many", concurrency=_CONCURRENCY)
            begun = time.perf_counter()
            working = await stack.enter_async_context(Muster(settings, engine="work"))
            await _work_off(report, working, projects, begun)
    return report


def _body() -> dict[str, Any]:
    agents = {
        name: {"role": name, "goal": "do it", "llm": "openai/scripted-large"}
        for name in ("reader", "thinker", "writer")
    }
    tasks = {
        f"task{number}": {"description": f"Do part {number}.", "agent": agent}
        for number, agent in enumerate(agents)
    }
    return {"agents_yaml": agents, "tasks_yaml": tasks}


async def _one_by_one(
    context: Context,
    report: Report,
    muster: Product,
    handlers: Handlers,
    base_url: str,
    folder: Path,
    peers: list[Peer],
) -> None:
    with contextlib.ExitStack() as stack:
        others: list[RunningPeer] = []
        for peer in peers:
            try:
                other = stack.enter_context(RunningPeer.started(peer, base_url, folder))
                await asyncio.to_thread(other.answer, _CREW)
                others.append(other)
            except PeerFailed as failure:
                report.notes.append(f"{peer.title}: {failure}")
        ours: list[float] = []
        theirs: dict[str, list[float]] = {other.title: [] for other in others}
        warm = 3
        for number in range(warm + context.pick(60, 15, 1)):
            taken = await _run(muster, handlers)
            found = {o.title: (await asyncio.to_thread(o.answer, _CREW))[0] for o in others}
            if number >= warm:
                ours.append(taken)
                for title, ms in found.items():
                    theirs[title].append(ms)
    report.add("a crew, p50", median(ours), "ms")
    report.add("a task of a crew, p50", median(ours) / _TASKS, "ms")
    for title, taken_by in theirs.items():
        report.add(f"{title}, a task of the same crew, p50", median(taken_by) / _TASKS, "ms")
        report.add(f"Muster to {title}, a crew", median(ours) / median(taken_by), "times")


async def _run(muster: Product, handlers: Handlers) -> float:
    asked = time.perf_counter()
    answer = await muster.client.post("/executions", json=_body())
    run_id: str = answer.raise_for_status().json()["execution_id"]
    _, ended = await handlers.ended(run_id)
    found = (await muster.client.get(f"/executions/{run_id}")).json()
    if found["status"] != "completed":
        raise AssertionError(f"the crew {found['status']}: {found['error']}")
    return (ended - asked) * 1000


async def _queue(context: Context, report: Report, muster: Product) -> list[str]:
    count = context.pick(1_000, 200, 20)
    projects = [await _project(muster, number) for number in range(_PROJECTS)]
    context.say(f"{count} crews of {_PROJECTS} projects")
    begun = time.perf_counter()
    for project in projects:
        for _ in range(count // _PROJECTS):
            headers = {"X-Project-Id": project}
            answer = await muster.client.post("/executions", json=_body(), headers=headers)
            answer.raise_for_status()
    report.add("a crew to queue", (time.perf_counter() - begun) * 1000 / count, "ms")
    return projects


async def _work_off(report: Report, muster: Muster, projects: list[str], begun: float) -> None:
    await _until_ended(muster)
    took = time.perf_counter() - begun
    async with muster.database.read() as session:
        columns = select(Run.project_id, Run.status, Run.started_at, Run.completed_at)
        statement = columns.where(Run.parent_run_id.is_(None))
        rows = (await session.execute(statement.order_by(Run.completed_at))).all()
    count = len(rows)
    half = Counter(dict.fromkeys(projects, 0))
    half.update(row.project_id for row in rows[: count // 2])
    moments = sorted([(r.started_at, 1) for r in rows] + [(r.completed_at, -1) for r in rows])
    at_once = most = 0
    for _, change in moments:
        at_once += change
        most = max(most, at_once)
    lost = sum(row.status != "completed" for row in rows)
    report.add("crews that did not complete", lost, "crews", none_at_all())
    report.add("crews a second", count / took, "/s")
    report.add("tasks a second", count * _TASKS / took, "/s")
    report.add("most crews at once", most, "crews", less_than(_CONCURRENCY + 1))
    report.add("least done of a project at half time", min(half.values()), "crews")
    report.add("most done of a project at half time", max(half.values()), "crews")
    report.add("resident memory after it", psutil.Process().memory_info().rss / 2**20, "MiB")


async def _project(muster: Product, number: int) -> str:
    answer = await muster.client.post("/projects", json={"name": f"Project {number}"})
    return str(answer.raise_for_status().json()["id"])


async def _until_ended(muster: Muster) -> None:
    statement = select(Run.id).where(Run.status.in_([status.value for status in ACTIVE]))
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            async with muster.database.read() as session:
                if await session.scalar(statement.limit(1)) is None:
                    return
            await asyncio.sleep(0.05)
