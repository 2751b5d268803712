"""Tasks through HTTP: both families' notations, filters, changes, refusals."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.work.tasks_setting import event_types, make_agent, make_task, read

pytestmark = pytest.mark.anyio


@pytest.fixture
async def people(muster: Muster, connect: Callable[..., httpx2.AsyncClient]) -> People:
    """Everybody, in an application that leaves runs where they are."""
    return signed_in(await find_accounts(muster), connect)


CREWS = {
    "name": "Research Task",
    "description": "Research the latest developments in AI",
    "expected_output": "A comprehensive report on AI developments",
    "agent": "research_agent",
    "tools": ["search_tool"],
}
FLEET = {
    "title": "Check invoices",
    "description": "Compare invoices and orders",
    "instructions": "Look at totals first",
    "priority": "High",
    "deadline": "2099-01-31T12:00:00+02:00",
    "required_tools": ["calculator"],
}


async def test_the_documented_task_of_crews(people: People) -> None:
    made = await people.editor.post("/tasks", json=CREWS)
    assert made.status_code == 201
    task = made.json()
    assert {name: task[name] for name in CREWS} == CREWS
    assert task["title"] == "Research Task"
    assert task["required_tools"] == ["search_tool"]
    assert task["status"] == "pending"
    assert (task["agent_id"], task["agent_name"]) == (None, None)
    status = task["configuration_status"]
    assert not status["is_ready"]
    assert [p["field"] for p in status["problems"]] == ["agent", "tools.search_tool"]
    assert await event_types(people.viewer, task) == ["task.created"]


async def test_the_documented_task_of_fleet(people: People) -> None:
    agent = await make_agent(people.editor)
    task = await make_task(people.editor, **FLEET, agent_id=agent["id"])
    assert (task["name"], task["title"]) == ("Research Task", "Research Task")  # both were given
    made = await people.editor.post("/tasks", json={**FLEET, "agent_id": agent["id"]})
    task = made.json()
    assert (task["name"], task["title"]) == ("Check invoices", "Check invoices")
    assert (task["agent_id"], task["agent_name"]) == (agent["id"], "Researcher")
    assert task["priority"] == "high"
    assert task["deadline"] == "2099-01-31T10:00:00.000000Z"
    assert task["tools"] == ["calculator"]
    assert task["configuration_status"] == {"is_ready": True, "problems": [], "warnings": []}
    assert task["created_by_name"] == "Editor"
    assert await read(people.viewer, task) == task


@pytest.mark.parametrize(
    ("given", "status", "agent"),
    [({}, "draft", None), ({"agent_id": ""}, "draft", None), ({"agent": "x"}, "pending", "x")],
)
async def test_a_task_without_an_agent_is_a_draft(
    people: People, given: dict[str, Any], status: str, agent: str | None
) -> None:
    task = await make_task(people.editor, **given)
    assert (task["status"], task["agent"]) == (status, agent)


async def test_an_agent_may_come_later(people: People) -> None:
    task = await make_task(people.editor, agent="researcher")
    assert task["agent_id"] is None
    agent = await make_agent(people.editor)
    assert (await read(people.editor, task))["agent_id"] == agent["id"]
    listed = await people.editor.get("/tasks", params={"agent_id": "researcher"})
    assert [item["id"] for item in listed.json()["items"]] == [task["id"]]


@pytest.mark.parametrize(
    ("given", "priority"),
    [("medium", "normal"), ("CRITICAL", "critical"), (1, "critical"), (4, "low"), (None, "normal")],
)
async def test_spellings_of_a_priority(people: People, given: Any, priority: str) -> None:
    assert (await make_task(people.editor, priority=given))["priority"] == priority


async def test_config_is_mirrored_into_the_fields(people: People) -> None:
    config = {
        "retry_on_fail": True,
        "guardrail_max_retries": 4,
        "timeout": 30,
        "priority": 2,
        "human_input": True,
        "markdown": True,
        "guardrail": "len(output) > 3",
        "llm_guardrail": {"description": "It is polite", "llm_model": "builtin/extractive"},
        "condition": {"type": "is_data_missing", "parameters": {}, "dependent_task": "t1"},
        "output_json": "Report",
        "cache_ttl": 60,
        "output_file": None,
    }
    task = await make_task(people.editor, config=config)
    assert (task["retry_on_fail"], task["guardrail_max_retries"], task["timeout_s"]) == (1, 4, 30)
    assert (task["priority"], task["human_input"], task["markdown"]) == ("high", True, True)
    assert task["guardrail"] == "len(output) > 3"
    assert task["llm_guardrail"]["description"] == "It is polite"
    assert task["condition"] is None
    assert task["config"]["condition"] == config["condition"]
    assert (task["output_json"], task["output_schema"]) == ("Report", None)
    assert task["config"]["cache_ttl"] == 60
    assert task["config"]["priority"] == "high"
    path = f"/tasks/{task['id']}"
    changed = (
        await people.editor.put(path, json={"config": {**task["config"], "timeout": 5}})
    ).json()
    assert (changed["timeout_s"], changed["config"]["timeout"]) == (5, 5)
    changed = (await people.editor.put(path, json={**changed, "priority": "low"})).json()
    assert (changed["priority"], changed["config"]["priority"]) == ("low", "low")


async def test_schemas_under_three_names(people: People) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    task = await make_task(people.editor, output_json=schema)
    assert task["output_schema"] == task["output_json"] == task["output_pydantic"] == schema
    path = f"/tasks/{task['id']}"
    named = (await people.editor.patch(path, json={"output_pydantic": "Report"})).json()
    assert (named["output_pydantic"], named["output_schema"]) == ("Report", schema)
    again = (await people.editor.put(path, json=named)).json()
    assert (again["output_pydantic"], again["output_schema"]) == ("Report", schema)
    assert [w["field"] for w in again["configuration_status"]["warnings"]] == ["output_pydantic"]
    cleared = (await people.editor.patch(path, json={"output_schema": None})).json()
    assert cleared["output_schema"] is cleared["output_pydantic"] is None


async def test_what_was_read_can_be_sent_back(people: People) -> None:
    agent = await make_agent(people.editor)
    task = await make_task(
        people.editor,
        agent=agent["key"],
        tools=["calculator"],
        config={"priority": 1, "markdown": True},
        output_schema={"type": "object"},
        callback="notify",
        callback_config={"channel": "news"},
        converter_cls="Converter",
    )
    for method, path in (("PUT", ""), ("PATCH", ""), ("PUT", "/full")):
        answer = await people.editor.request(method, f"/tasks/{task['id']}{path}", json=task)
        assert answer.status_code == 200, answer.text
        assert answer.json() == task
    assert await event_types(people.editor, task) == ["task.created"]


async def test_both_ways_to_change_and_to_replace(people: People) -> None:
    task = await make_task(people.editor, **{**CREWS, "priority": "low"})
    path = f"/tasks/{task['id']}"
    for client, method in ((people.editor, "PUT"), (people.owner, "PATCH")):
        name = f"Updated by {method}"
        changed = (await client.request(method, path, json={"name": name})).json()
        assert (changed["title"], changed["description"]) == (name, CREWS["description"])
        assert changed["priority"] == "low"
    cleared = (
        await people.editor.patch(path, json={"expected_output": None, "tools": None})
    ).json()
    assert (cleared["expected_output"], cleared["tools"]) == (None, [])
    body = {"name": "Whole", "description": "New", "expected_output": "Report"}
    whole = (await people.editor.put(f"{path}/full", json=body)).json()
    assert (whole["agent"], whole["priority"], whole["status"]) == (None, "normal", "draft")
    assert await event_types(people.viewer, task) == ["task.created", *["task.updated"] * 4]
    events = (await people.viewer.get("/events", params={"subject_id": task["id"]})).json()
    assert events["items"][0]["data"]["changed"] == [
        "agent",
        "description",
        "expected_output",
        "name",
        "priority",
        "status",
    ]


async def test_status_is_set_between_draft_and_pending_only(people: People) -> None:
    agent = await make_agent(people.editor)
    task = await make_task(people.editor, agent=agent["id"], status="draft")
    assert task["status"] == "draft"
    path = f"/tasks/{task['id']}"
    assert (await people.editor.patch(path, json={"status": "Pending"})).json()[
        "status"
    ] == "pending"
    refused = await people.editor.patch(path, json={"status": "completed"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "status"
    assert (await people.editor.patch(path, json={"agent_id": ""})).json()["status"] == "draft"
    refused = await people.editor.patch(path, json={"status": "pending"})
    assert (refused.status_code, refused.json()["error"]) == (409, "task_not_ready")
    given = await people.editor.patch(path, json={"agent": agent["key"]})
    assert given.json()["status"] == "pending"


async def test_what_a_task_lacks(people: People) -> None:
    agent = await make_agent(people.editor)
    first = await make_task(people.editor, name="First")
    task = await make_task(
        people.editor,
        agent=agent["id"],
        context=[first["id"], "First", "missing"],
        guardrail="len(output) >",
        condition="a b",
        deadline="2020-01-01",
    )
    status = task["configuration_status"]
    assert [p["field"] for p in status["problems"]] == ["context", "guardrail", "condition"]
    assert [w["field"] for w in status["warnings"]] == ["deadline"]
    assert task["is_overdue"]
    blind = await make_task(people.editor, agent=agent["id"], guardrail="1 > 0")
    assert [p["field"] for p in blind["configuration_status"]["problems"]] == ["guardrail"]
    outside = await make_agent(people.editor, key="outside", kind="external")
    elsewhere = await make_task(people.editor, agent=outside["id"])
    assert [p["field"] for p in elsewhere["configuration_status"]["problems"]] == ["agent"]


async def test_filters(people: People) -> None:
    agent = await make_agent(people.editor)
    first = await make_task(people.editor, name="Alpha", agent="researcher", priority="high")
    second = await make_task(people.editor, name="Beta", description="50% alpha")
    third = await make_task(
        people.editor, name="Gamma", deadline="2020-01-01T00:00:00Z", crew_id="c1"
    )

    async def found(**params: Any) -> list[str]:
        answer = await people.viewer.get("/tasks", params=params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await found() == [third["id"], second["id"], first["id"]]
    assert await found(status_filter="PENDING") == [first["id"]]
    assert await found(status="draft,pending", limit=1) == [third["id"]]
    assert await found(status_filter="draft", status="pending") == []
    assert await found(priority="High,critical") == [first["id"]]
    for reference in (agent["id"], "researcher", "Researcher"):
        assert await found(agent_id=reference) == [first["id"]]
    assert await found(agent_id="nobody") == []
    assert await found(crew_id="c1") == [third["id"]]
    assert await found(search="ALPHA") == [second["id"], first["id"]]
    assert await found(search="0%") == [second["id"]]
    assert await found(overdue="true") == [third["id"]]
    assert await found(overdue="false") == [second["id"], first["id"]]
    assert await found(created_from=second["created_at"]) == [third["id"], second["id"]]
    assert await found(created_to=second["created_at"]) == [first["id"]]
    listed = (await people.viewer.get("/tasks")).json()
    assert (listed["total"], listed["has_more"]) == (3, False)
    assert listed["items"][2]["agent_name"] == "Researcher"
    assert listed["items"][2]["configuration_status"] is None
    for bad in ({"status": "done"}, {"priority": "highest"}, {"unheard": "1"}):
        assert (await people.viewer.get("/tasks", params=bad)).status_code == 422


async def test_statistics(people: People) -> None:
    await make_task(people.editor, agent="x", priority="high")
    late = await make_task(people.editor, deadline="2020-01-01")
    await make_task(people.outsider)
    stats = (await people.viewer.get("/tasks/stats")).json()
    assert stats["total"] == 2
    assert stats["by_status"] == dict.fromkeys(
        ("running", "waiting", "completed", "failed", "cancelled"), 0
    ) | {"draft": 1, "pending": 1}
    assert stats["by_priority"] == {"critical": 0, "high": 1, "normal": 1, "low": 0}
    assert stats["overdue"] == 1
    await people.editor.post(f"/tasks/{late['id']}/cancel")
    assert (await people.viewer.get("/tasks/stats")).json()["overdue"] == 0


async def test_delete(people: People) -> None:
    task = await make_task(people.editor)
    assert (await people.editor.delete(f"/tasks/{task['id']}")).status_code == 204
    missing = await people.editor.get(f"/tasks/{task['id']}")
    assert (missing.status_code, missing.json()["error"]) == (404, "task_not_found")
    assert await event_types(people.viewer, task) == ["task.created", "task.deleted"]


async def test_cancel_without_a_run(people: People) -> None:
    task = await make_task(people.editor)
    path = f"/tasks/{task['id']}/cancel"
    ended = await people.operator.post(path, json={"reason": "No longer needed"})
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    assert ended.json()["completed_at"]
    assert (await people.operator.post(path)).status_code == 200
    assert await event_types(people.viewer, task) == ["task.created", "task.cancelled"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": "x" * 256},
        {"name": "x", "unheard_of": 1},
        {"name": "x", "priority": "highest"},
        {"name": "x", "priority": True},
        {"name": "x", "deadline": "0001-01-01T00:00:00+23:59"},
        {"name": "x", "deadline": "tomorrow"},
        {"name": "x", "config": []},
        {"name": "x", "config": {"timeout": "soon"}},
        {"name": "x", "llm_guardrail": {"description": ""}},
        {"name": "x", "status": "done"},
    ],
)
async def test_bodies_that_are_refused(people: People, body: dict[str, Any]) -> None:
    assert (await people.editor.post("/tasks", json=body)).status_code == 422


async def test_changes_that_are_refused(people: People) -> None:
    task = await make_task(people.editor)
    for body in ({"name": None}, {"unheard_of": 1}, {"config": 1}, {"tools": "x"}, {"status": 1}):
        refused = await people.editor.patch(f"/tasks/{task['id']}", json=body)
        assert refused.status_code == 422, body
        assert refused.json()["errors"], body


async def test_roles_and_tenants(people: People) -> None:
    task = await make_task(people.editor)
    path = f"/tasks/{task['id']}"
    for method, target in (
        ("POST", "/tasks"),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/cancel"),
        ("POST", f"{path}/run"),
    ):
        refused = await people.viewer.request(method, target, json={"name": "x"})
        assert refused.status_code == 403, target
    for method, target in (("POST", "/tasks"), ("PATCH", path), ("DELETE", path)):
        refused = await people.operator.request(method, target, json={"name": "x"})
        assert refused.status_code == 403, target
    for method, target in (("GET", path), ("PATCH", path), ("DELETE", path)):
        body = None if method != "PATCH" else {"name": "x"}
        missing = await people.outsider.request(method, target, json=body)
        assert missing.status_code == 404
    for verb in ("cancel", "history"):
        method = "GET" if verb == "history" else "POST"
        assert (await people.outsider.request(method, f"{path}/{verb}")).status_code == 404


async def test_secrets_of_tools_go_to_the_vault(
    people: People, connect: Callable[..., httpx2.AsyncClient]
) -> None:
    scopes = {"name": "Narrow", "scopes": ["tasks:read", "tasks:write"]}
    key = (await people.editor.post("/security/api-keys", json=scopes)).json()["key"]
    narrow = connect(Authorization=f"Bearer {key}")
    configs = {"calculator": {"api_key": "very-secret-value"}}
    refused = await narrow.post("/tasks", json={"name": "x", "tool_configs": configs})
    assert (refused.status_code, refused.json()["error"]) == (403, "task_secrets_refused")
    task = await make_task(
        people.editor,
        tool_configs=configs,
        callback_config={"token": "another-secret", "channel": "news"},
    )
    assert "secret-value" not in str(task)
    assert "another-secret" not in str(task)
    assert task["callback_config"]["channel"] == "news"
    again = await narrow.patch(f"/tasks/{task['id']}", json={**task, "name": "y"})
    assert again.status_code == 200
    assert again.json()["tool_configs"] == task["tool_configs"]

    async def kept() -> int:
        secrets = (await people.owner.get("/api-keys")).json()
        return len(secrets["items"] if isinstance(secrets, dict) else secrets)

    assert await kept() == 2
    copy = await make_task(people.editor, tool_configs=task["tool_configs"])
    await people.editor.delete(f"/tasks/{task['id']}")
    assert await kept() == 2
    again = await make_task(people.editor, tool_configs=configs)
    await people.editor.delete(f"/tasks/{again['id']}")
    assert await kept() == 2
    assert (await people.editor.delete(f"/tasks/{copy['id']}")).status_code == 204
