"""Crews and workflows whose workers are killed at every boundary between two steps."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, or_, select

from muster.domains.work.journal import Run, Step
from tests.durability.servers import call, calling, prompt
from tests.durability.workers import PATIENCE_S
from tests.durability.world import Started, World
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

MODEL = "openai/scripted-large"
Body = Callable[[str], dict[str, Any]]
"""From the name of a run to what is started."""


def asks(name: str) -> list[Reply]:
    return [calling(call("fetch", run=name, part="t1.0")), Reply(text=f"{name} has fetched.")]


def says(name: str) -> list[Reply]:
    return [Reply(text=f"{name} has spoken.")]


def crew(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "agents_yaml": {
            "finder": {"role": "Finder", "goal": "find", "llm": MODEL, "tools": ["fetch"]},
            "writer": {"role": "Writer", "goal": "write", "llm": MODEL},
        },
        "tasks_yaml": {
            "find": {"description": prompt("asks", f"{name}a"), "agent": "finder"},
            "write": {"description": prompt("says", f"{name}b"), "agent": "writer"},
        },
        **fields,
    }


def sequential(name: str) -> dict[str, Any]:
    return crew(name)


def hierarchical(name: str) -> dict[str, Any]:
    return crew(name, process="hierarchical", manager_llm="builtin/extractive")


def flow(name: str) -> dict[str, Any]:
    def fetch(part: str, **fields: Any) -> dict[str, Any]:
        arguments = {"run": f"{name}t", "part": part}
        return {
            "name": f"get {part}",
            "type": "tool",
            "tool": "fetch",
            "arguments": arguments,
        } | fields

    nodes = [
        {"name": "start", "type": "start", "next": "fork"},
        {"name": "fork", "type": "parallel", "branches": ["talk", "get p"], "next": "each"},
        {"name": "talk", "type": "llm", "prompt": prompt("says", f"{name}b"), "next": "each"},
        fetch("p", next="each"),
        {"name": "each", "type": "map", "items": "[1, 2]", "body": "item", "next": "again"},
        fetch("i{{ item }}", name="item"),
        {"name": "again", "type": "loop", "condition": "n < 2", "body": "more", "next": "which"},
        {"name": "more", "type": "transform", "assign": {"n": "n + 1"}},
        {"name": "which", "type": "if", "condition": "n == 2", "then": "rest", "otherwise": "end"},
        {"name": "rest", "type": "delay", "delay_s": 0.05, "next": "end"},
        {"name": "end", "type": "end", "inputs": {"said": "{{ nodes.talk }}", "n": "{{ n }}"}},
    ]
    return {
        "workflow": {"name": "Everything", "model": MODEL, "nodes": nodes},
        "inputs": {"n": 0},
    }


async def begin(world: World, body: dict[str, Any], name: str) -> Started:
    answer = await world.people.operator.post("/executions", json=body)
    assert answer.status_code == 201, answer.text
    return Started(answer.json()["execution_id"], name)


async def until_steps(world: World, run: Started, count: int) -> None:
    """Wait until the run and its children have so many steps, or the run has ended."""
    steps = select(func.sum(Run.head_seq)).where(or_(Run.id == run.id, Run.parent_run_id == run.id))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        async with world.control.database.read() as session:
            found = await session.scalar(steps)
        if (found or 0) >= count:
            return
        assert time.monotonic() < deadline, f"{found}; {world.workers.nursery.said()}"
        await asyncio.sleep(0.002)


async def recorded(world: World, run: Started) -> set[tuple[str, str]]:
    """Return every step of the run and of its children, by the node that they belong to."""
    statement = (
        select(Run.parent_key, Step.key)
        .join(Step, Step.run_id == Run.id)
        .where(or_(Run.id == run.id, Run.parent_run_id == run.id))
    )
    async with world.control.database.read() as session:
        rows = (await session.execute(statement)).all()
    return {(parent or "", key) for parent, key in rows}


def asked(world: World, name: str) -> dict[tuple[str, str], int]:
    """Return how often each call came to the servers, of a run with this name."""
    models = {(n, f"m{t}"): c for (n, t), c in world.model.asked.items()}
    every = models | dict(world.tools.asked.items())
    return {key: count for key, count in every.items() if key[0][:-1] == name}


@pytest.mark.parametrize("body", [sequential, hierarchical, flow])
async def test_killed_at_every_boundary(world: World, body: Body) -> None:
    world.model.plans.update(asks=asks, says=says)
    await world.tool("fetch", "GET")
    worker = await world.workers.start()
    quiet = await begin(world, body("quiet"), "quiet")
    await world.until_ended(quiet)
    whole, result = await recorded(world, quiet), (await world.get(quiet))["result"]
    assert (await world.get(quiet))["status"] == "completed"
    once = asked(world, "quiet")
    assert set(once.values()) == {1}
    for number in range(len(whole) + 1):
        name = f"k{number}"
        run = await begin(world, body(name), name)
        await until_steps(world, run, number)
        await world.kill(worker, run)
        before = asked(world, name)
        worker = await world.workers.start()
        await world.until_ended(run)
        read = await world.get(run)
        assert read["status"] == "completed", read
        assert json.loads(json.dumps(read["result"]).replace(name, "quiet")) == result
        assert await recorded(world, run) == whole
        assert (await world.verify(run))["valid"]
        after = asked(world, name)
        assert {(n.replace(name, "quiet"), part) for n, part in after} == set(once)
        # What was under way may be asked again, once: two branches are at work at most.
        repeated = {key: count for key, count in after.items() if count > 1}
        assert set(repeated) <= set(before)
        assert max(repeated.values(), default=0) <= 2
        assert len(repeated) <= 2, repeated
