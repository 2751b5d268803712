"""Who may let a model generate, with what, and what is held meanwhile."""

import asyncio
import json

import httpx2
import pytest

from tests.support.model_server import Reply, ScriptedServer
from tests.support.people import People
from tests.work.test_generation import AGENT, BUILTIN, generate, says

pytestmark = pytest.mark.anyio


async def test_budgets_and_access_rules_hold(people: People, scripted: ScriptedServer) -> None:
    says(scripted, AGENT)
    for resource in ("openai/scripted-large", BUILTIN):
        rule = {
            "scope_type": "role",
            "scope_id": "operator",
            "resource_type": "model",
            "resource_id": resource,
            "effect": "deny",
        }
        assert (await people.superadmin.post("/policy/rules", json=rule)).status_code == 201
        before = len(scripted.calls)
        refused = await generate(people, "agent", 403, model=resource)
        assert refused["error"] == "access_denied_by_rule"
        assert len(scripted.calls) == before


async def test_who_may_generate(people: People, anonymous: httpx2.AsyncClient) -> None:
    body = {"description": "An agent", "model": BUILTIN}
    for what in ("agent", "task", "crew", "workflow"):
        path = f"/{what}-generation/generate"
        assert (await people.viewer.post(path, json=body)).status_code == 403
        assert (await people.outsider.post(path, json=body)).status_code == 200
        assert (await anonymous.post(path, json=body)).status_code == 401


async def test_tools_of_other_projects_are_not_offered(
    people: People, scripted: ScriptedServer
) -> None:
    tool = {
        "name": "secret_tool",
        "tool_type": "http",
        "configuration": {"url": "http://127.0.0.1:9/nothing"},
    }
    assert (await people.outsider.post("/tools", json=tool)).status_code == 201
    says(scripted, {**AGENT, "tools": ["secret_tool"]})
    body = await generate(people, "agent", tools=["secret_tool", "calculator"])
    assert body["tools"] == []
    assert "secret_tool" not in scripted.last.body["messages"][0]["content"]


async def test_no_session_is_held_while_the_model_works(
    people: People, scripted: ScriptedServer
) -> None:
    many = 12  # more than there are connections
    says(scripted, Reply(text=json.dumps(AGENT), hang=True))
    body = {"description": "An agent", "model": "openai/scripted-large"}
    waiting = [
        asyncio.create_task(people.operator.post("/agent-generation/generate", json=body))
        for _ in range(many)
    ]
    async with asyncio.timeout(20):
        while len(scripted.calls) < many:
            await asyncio.sleep(0.01)
        read = await people.viewer.get("/agents")
        written = await people.editor.post("/agents", json={"name": "Meanwhile"})
    assert (read.status_code, written.status_code) == (200, 201)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
