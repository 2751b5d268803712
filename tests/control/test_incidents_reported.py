"""Incidents that agents tell of themselves: by whom, by which name, and what is refused."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from muster.kernel.ids import new_id
from tests.control.test_incidents import read, shown
from tests.support.people import People
from tests.work.external_setting import agent_client, code, registered

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


def told_by(agent_id: str, **given: Any) -> dict[str, Any]:
    body = {
        "agent_id": agent_id,
        "enforcement_point": "step_execution",
        "task_id": "task-7",
        "action_id": "a-1",
        "step_name": "send",
        "step_type": "step.message",
        "action": "BLOCK",
        "risk_score": 0.75,
        "violations": [
            {"policy_name": "No raw e-mails", "severity": "High", "details": {"found": 1}},
            {"policy_name": "Office hours", "severity": "low", "details": "It is night."},
            {"policy_name": "Gate first", "severity": "low"},
        ],
        "timestamp": "2026-01-02T03:04:05Z",
    }
    return {**body, **given}


async def test_an_agent_reports_what_it_judged(people: People, connect: Connect) -> None:
    agent = await agent_client(people.editor, connect)
    agent_id = await registered(agent, environment="production", risk_classification="high")
    answer = await agent.post("/incidents", json=told_by(agent_id))
    assert answer.status_code == 201, answer.text
    receipt = answer.json()["incidents"]
    assert [(i["policy_name"], i["severity"], i["count"]) for i in receipt] == [
        ("No raw e-mails", "high", 1),
        ("Office hours", "low", 1),
        ("Gate first", "low", 1),
    ]
    incident = await read(people.viewer, receipt[0]["id"])
    expected = {
        "policy_id": None,
        "agent_id": agent_id,
        "environment": "production",
        "task_id": "task-7",
        "step_kind": "step.message",
        "action": "block",
        "details": {
            "found": 1,
            "reported": {
                "scope": "step_execution",
                "action_id": "a-1",
                "risk_score": 0.75,
                "timestamp": "2026-01-02T03:04:05.000000Z",
            },
        },
    }
    assert {name: incident[name] for name in expected} == expected
    words = (await read(people.viewer, receipt[1]["id"]))["details"]
    assert words["message"] == "It is night."

    again = {
        "agent_id": agent_id,
        "action": "warn",
        "violations": [{"policy_name": "No raw e-mails", "severity": "high"}],
    }
    repeated = await agent.post("/incidents", json=again)
    assert repeated.json()["incidents"][0] == {**receipt[0], "count": 2}
    assert (await read(people.viewer, receipt[0]["id"]))["task_id"] is None


async def test_a_name_of_the_project_means_its_policy(people: People, connect: Connect) -> None:
    agent = await agent_client(people.editor, connect)
    agent_id = await registered(agent)
    other_id = await registered(agent, "other")

    async def policy(person: httpx2.AsyncClient = people.editor, **fields: Any) -> str:
        body = {
            "name": "Office hours",
            "rule_type": "history_contains",
            "params": {"step_type": "step.gate"},
            "severity": "medium",
            "scope": "task_execution",
        }
        made = await person.post("/policies", json={**body, **fields})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def told(*names: str) -> list[dict[str, Any]]:
        found = [{"policy_name": name, "severity": "low"} for name in names]
        body = {"agent_id": agent_id, "action": "warn", "violations": found}
        answer = await agent.post("/incidents", json=body)
        assert answer.status_code == 201, answer.text
        receipt = answer.json()["incidents"]
        return [await read(people.viewer, incident["id"]) for incident in receipt]

    await policy(people.outsider, name="Of another project")
    await policy(name="Of another agent", agent_id=other_id)
    gone = await policy(name="Deleted")
    assert (await people.editor.delete(f"/policies/{gone}")).status_code == 204
    (before,) = await told("Office hours")
    assert before["policy_id"] is None
    general = await policy()
    (first,) = await told("office HOURS")
    assert (first["policy_id"], first["policy_name"]) == (general, "office HOURS")
    own = await policy(agent_id=agent_id)
    await policy(enabled=False)
    accented = await policy(name="Über alles")
    names = ("Office hours", "Über alles", "Of another project", "Of another agent", "Deleted")
    assert [i["policy_id"] for i in await told(*names)] == [own, accented, None, None, None]
    # What the platform finds by the same policy is the same incident.
    log = {"agent_id": agent_id, "task_id": "t", "kind": "task.end"}
    logged = await agent.post("/logs", json=log)
    (mine,) = [i for i in logged.json()["incidents"] if i["policy_id"] == own]
    assert (await read(people.viewer, mine["incident_id"]))["count"] == 2


async def test_who_may_report(people: People, connect: Connect) -> None:
    agent = await agent_client(people.editor, connect)
    agent_id = await registered(agent)
    assert (await agent.get("/incidents")).status_code == 403
    assert (await people.operator.post("/incidents", json=told_by(agent_id))).status_code == 403
    assert (await people.editor.post("/incidents", json=told_by(agent_id))).status_code == 201
    for stranger in (await agent_client(people.owner, connect), people.owner, people.outsider):
        refused = await stranger.post("/incidents", json=told_by(agent_id))
        assert code(refused) == (404, "agent_not_found")

    by_key = told_by("invoices", violations=told_by("")["violations"][:1])
    (repeated,) = (await agent.post("/incidents", json=by_key)).json()["incidents"]
    assert repeated["count"] == 2
    assert (await read(people.viewer, repeated["id"]))["agent_id"] == agent_id

    made = await people.editor.post("/agents", json={"name": "Own", "llm": "builtin/extractive"})
    own = made.json()["id"]
    assert (await agent.post("/incidents", json=told_by(own))).status_code == 404
    assert (await people.owner.post("/incidents", json=told_by(own))).status_code == 201
    assert (await people.owner.post("/incidents", json=told_by(new_id()))).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"violations": []},
        {"violations": [{"policy_name": "x", "severity": "severe"}]},
        {"action": "allow"},
        {"action": 3},
        {"risk_score": 1.5},
        {"unknown": 1},
    ],
)
async def test_bad_reports_are_refused(
    people: People, connect: Connect, wrong: dict[str, Any]
) -> None:
    agent = await agent_client(people.editor, connect)
    refused = await agent.post("/incidents", json=told_by(await registered(agent), **wrong))
    assert refused.status_code == 422
    assert await shown(people.viewer) == []
