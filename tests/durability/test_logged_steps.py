"""Steps that are logged while their process dies, or another one logs: judged exactly once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings
from tests.durability.dying_intake import FATAL
from tests.durability.workers import ROOT
from tests.support.people import People
from tests.work.external_setting import agent_client, logged, registered

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

Connect = Callable[..., httpx2.AsyncClient]
Posts = list[tuple[str, dict[str, Any]]]

ASK_FIRST = {
    "name": "Ask first",
    "rule_type": "step_requires_predecessor",
    "params": {"required_step_type": "step.gate", "target_step_types": ["step.resource"]},
    "severity": "high",
    "scope": "step_execution",
}
ASK_ONCE = {
    "name": "Ask once",
    "rule_type": "history_contains",
    "params": {"step_type": "step.gate"},
    "severity": "medium",
    "scope": "task_execution",
}
TEN_AT_MOST = {
    "name": "Ten at most",
    "rule_type": "execution_max_steps",
    "params": {"step_type": "step.resource", "max_steps": 10},
    "severity": "low",
    "scope": "step_execution",
}
VIOLATES = {"step.resource", "task.end"}
"""Kinds of steps that break one of the first two policies."""


async def store(people: People, *policies: dict[str, Any]) -> None:
    for policy in policies:
        answer = await people.editor.post("/policies", json=policy)
        assert answer.status_code == 201, answer.text


def ways_to_a_fatal_step(agent_id: str) -> list[Posts]:
    """Return what is posted up to a step that breaks a policy, by each way into the journal."""
    act = {"kind": "step.resource", "verb": "POST"}
    fatal = {**act, "step_name": FATAL}
    ways: list[Posts] = []
    for number, last in enumerate(
        (
            ("/logs", {**fatal}),
            ("/logs/batch", {"steps": [act, {"kind": "task.error"}, fatal]}),
            ("/logs", {"kind": "task.end", "step_name": FATAL}),
        )
    ):
        task = {"agent_id": agent_id, "task_id": f"t-{number}"}
        begun = ("/logs", {**task, "kind": "task.start"})
        ways.append([begun, (last[0], {**task, **last[1]})])
    first = ("/logs", {"agent_id": agent_id, "task_id": "begins", **fatal})
    node = {"x-ms-entra-agent-name": "Desk", "conversation_id": "c"}
    talk: Posts = [
        ("/copilot/log", {**node, "node_type": "START_NODE"}),
        ("/copilot/log", {**node, "node_type": "TOOL_CALL", "node_name": FATAL}),
    ]
    return [*ways, [first], talk]


def die(settings: Settings, key: str, when: str, ways: list[Posts]) -> list[int]:
    """Post in processes that are killed at the fatal step; return how they ended."""
    assert settings.database_url is not None
    work = {"key": key, "cases": [{"when": when, "posts": posts} for posts in ways]}
    found = subprocess.run(
        [sys.executable, "-m", "tests.durability.dying_intake", json.dumps(work)],
        env={
            **os.environ,
            "MUSTER_DATA_DIR": str(settings.data_dir),
            "MUSTER_DATABASE_URL": settings.database_url.get_secret_value(),
            "MUSTER_LOG_LEVEL": "WARNING",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    ends: list[int] = json.loads(found.stdout)
    return ends


@pytest.mark.parametrize("when", ["after", "before"])
async def test_a_step_and_what_is_said_of_it_are_one_commit(
    settings: Settings, people: People, connect: Connect, when: str
) -> None:
    key = await agent_client(people.editor, connect)
    ways = ways_to_a_fatal_step(await registered(key))
    await store(people, ASK_FIRST, ASK_ONCE)
    token = key.headers["Authorization"].removeprefix("Bearer ")
    ends = await asyncio.to_thread(die, settings, token, when, ways)
    assert ends == [-signal.SIGKILL] * len(ways)
    steps = (await people.viewer.get("/logs", params={"limit": 100})).json()["items"]
    recorded = [step for step in steps if step["kind"] in VIOLATES]
    assert sum(step["step_name"] == FATAL for step in recorded) == len(ways) * (when == "after")
    incidents = (await people.viewer.get("/incidents", params={"limit": 100})).json()["items"]
    assert sum(incident["count"] for incident in incidents) == len(recorded)


async def test_two_processes_that_log_to_one_task(
    settings: Settings, muster: Muster, people: People, connect: Connect
) -> None:
    """Whoever comes first, each step is judged by what is before it in the journal."""
    key = await agent_client(people.editor, connect)
    agent_id = await registered(key)
    await store(people, TEN_AT_MOST)
    await logged(key, agent_id, kind="task.start", verb=None)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(Muster(settings, engine="off"))
        there = await stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(other.app),
                base_url=key.base_url,
                headers={"Authorization": key.headers["Authorization"]},
            )
        )
        kinds = [{"kind": "step.resource"}, {"kind": "step.self"}] * 20
        receipts = await asyncio.gather(
            *(
                logged((key, there)[number % 4 > 1], agent_id, **fields)
                for number, fields in enumerate(kinds)
            )
        )
    steps = (await people.viewer.get("/logs/tasks/t-1", params={"limit": 100})).json()["items"]
    acts = [step["seq"] for step in steps if step["kind"] == "step.resource"]
    told = sorted(found["seq"] for receipt in receipts for found in receipt["incidents"])
    assert told == acts[10:]
    (incident,) = (await people.viewer.get("/incidents")).json()["items"]
    assert incident["count"] == len(told) == 10
    verified = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (verified["valid"], verified["steps"]) == (True, 41)
