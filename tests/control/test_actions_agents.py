"""Actions on agents: pausing one, and asking people whether it may go on."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from tests.control.actions_setting import (
    broken,
    delivered,
    deliveries,
    detail,
    made,
    told,
)
from tests.support.people import People
from tests.work.external_setting import agent_client, code, logged, registered

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


async def agent(people: People, name: str = "Invoices") -> dict[str, Any]:
    answer = await people.editor.post("/agents", json={"name": name})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def is_active(people: People, agent_id: str) -> bool:
    return (await people.viewer.get(f"/agents/{agent_id}")).status_code == 200


async def open_ones(people: People) -> list[dict[str, Any]]:
    answer = await people.viewer.get("/approvals", params={"kind": "agent_review"})
    return list(answer.json()["items"])


async def test_an_agent_is_paused(muster: Muster, people: People) -> None:
    paused = await agent(people)
    other = await agent(people, "Other")
    await made(people.editor, "pause_agent", on={"min_severity": "critical"})
    await broken(muster, people.project_id, agent_id=paused["id"], severity="high")
    assert await delivered(muster) == 0
    await broken(
        muster,
        people.project_id,
        agent_id=paused["id"],
        severity="critical",
        policy_id=None,
        policy_name="Worse",
    )
    assert await is_active(people, paused["id"])
    assert await delivered(muster) == 1
    assert not await is_active(people, paused["id"])
    assert await is_active(people, other["id"])
    (event,) = await told(people.viewer, "agent.deleted")
    assert event["data"]["agent_id"] == paused["id"]
    assert "action Tell" in str(event)
    run = await people.operator.post("/executions", json={"agent_id": paused["id"]})
    assert run.status_code in {404, 409}
    back = await people.editor.post(f"/agents/{paused['id']}/activate")
    assert back.status_code == 200, back.text
    assert await is_active(people, paused["id"])


async def test_an_agent_that_runs_elsewhere_is_shut_out(
    muster: Muster, people: People, connect: Connect
) -> None:
    client = await agent_client(people.editor, connect)
    agent_id = await registered(client)
    await logged(client, agent_id)
    await made(people.editor, "pause_agent")
    await broken(muster, people.project_id, agent_id=agent_id)
    await delivered(muster)
    body = {"agent_id": agent_id, "task_id": "t-2", "kind": "step.resource", "verb": "GET"}
    assert (await client.post("/logs", json=body)).status_code in {404, 409}
    again = await client.post("/agents", json={"agent_key": "invoices", "name": "Invoices"})
    assert code(again) == (409, "agent_inactive")


async def test_to_pause_twice_is_to_pause_once(muster: Muster, people: People) -> None:
    paused = await agent(people)
    await made(people.editor, "pause_agent", name="One")
    await made(people.editor, "pause_agent", name="Two")
    await broken(muster, people.project_id, agent_id=paused["id"])
    assert await delivered(muster) == 2
    assert {d["status"] for d in await deliveries(people.viewer)} == {"delivered"}
    assert len(await told(people.viewer, "agent.deleted")) == 1


@pytest.mark.parametrize("kind", ["pause_agent", "open_approval"])
async def test_an_incident_without_an_agent(muster: Muster, people: People, kind: str) -> None:
    await made(people.editor, kind)
    theirs = (await people.outsider.post("/agents", json={"name": "Theirs"})).json()
    for number, agent_id in enumerate((None, "agent-1", theirs["id"])):
        await broken(muster, people.project_id, agent_id=agent_id, policy_name=str(number))
    assert await delivered(muster) == 3
    for delivery in await deliveries(people.viewer):
        shown = await detail(people.viewer, delivery["id"])
        assert (shown["status"], shown["log"][0]["outcome"]) == ("dead", "refused")
        assert "no agent of this project" in shown["last_error"]
    assert (await people.outsider.get(f"/agents/{theirs['id']}")).status_code == 200
    assert await open_ones(people) == []


@pytest.mark.parametrize("kind", ["pause_agent", "open_approval"])
async def test_what_changes_agents_has_no_test(people: People, kind: str) -> None:
    action = await made(people.editor, kind)
    answer = await people.editor.post(f"/actions/{action['id']}/test")
    assert code(answer) == (409, "action_has_no_test")


async def test_people_are_asked_once(muster: Muster, people: People) -> None:
    asked = await agent(people)
    instructions = "Look at the last run first."
    await made(people.editor, "open_approval", config={"instructions": instructions})
    incident = await broken(muster, people.project_id, agent_id=asked["id"])
    await broken(muster, people.project_id, agent_id=asked["id"], policy_name="2", policy_id=None)
    assert await delivered(muster) == 2
    (approval,) = await open_ones(people)
    assert approval["title"] == "May Invoices go on?"
    assert (approval["agent_id"], approval["run_id"]) == (asked["id"], None)
    assert instructions in approval["description"]
    assert approval["details"]["incident_id"] == incident.id
    assert approval["details"]["action"]["name"] == "Tell"
    assert approval["requested_by_id"] == "system"
    assert await is_active(people, asked["id"])
    assert len(await told(people.viewer, "approval.requested")) == 1


async def test_no_deactivates_the_agent(muster: Muster, people: People) -> None:
    asked = await agent(people)
    await made(people.editor, "open_approval")
    await broken(muster, people.project_id, agent_id=asked["id"])
    await delivered(muster)
    (approval,) = await open_ones(people)
    hidden = await people.outsider.post(f"/approvals/{approval['id']}/reject")
    assert hidden.status_code == 404
    answer = await people.operator.post(f"/approvals/{approval['id']}/reject")
    assert answer.status_code == 200, answer.text
    assert not await is_active(people, asked["id"])
    again = await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert code(again) == (409, "approval_decided")


@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_an_agent_waits_for_the_decision(
    muster: Muster, people: People, verdict: str
) -> None:
    asked = await agent(people)
    await made(people.editor, "open_approval", config={"pause": True})
    await broken(muster, people.project_id, agent_id=asked["id"])
    await delivered(muster)
    assert not await is_active(people, asked["id"])
    (approval,) = await open_ones(people)
    answer = await people.operator.post(f"/approvals/{approval['id']}/{verdict}")
    assert answer.status_code == 200, answer.text
    assert await is_active(people, asked["id"]) == (verdict == "approve")
    # Decided: the next incident asks anew.
    if verdict == "approve":
        await broken(
            muster, people.project_id, agent_id=asked["id"], policy_name="2", policy_id=None
        )
        await delivered(muster)
        assert len(await open_ones(people)) == 1


async def test_a_yes_that_cannot_be_done_is_not_said(muster: Muster, people: People) -> None:
    asked = await agent(people)
    await made(people.editor, "open_approval", config={"pause": True})
    await broken(muster, people.project_id, agent_id=asked["id"])
    await delivered(muster)
    taker = await people.editor.post("/agents", json={"name": "New", "key": asked["key"]})
    assert taker.status_code == 201, taker.text
    (approval,) = await open_ones(people)
    answer = await people.operator.post(f"/approvals/{approval['id']}/approve")
    assert code(answer) == (409, "agent_key_taken")
    assert len(await open_ones(people)) == 1


async def test_approvals_by_hand_move_no_agent(people: People) -> None:
    """A question that a person asks cannot look like one of the platform's."""
    asked = await agent(people)
    body = {"title": "May it?", "agent_id": asked["id"], "details": {"kind": "agent_review"}}
    approval = (await people.operator.post("/approvals", json=body)).json()
    assert approval["kind"] == "manual"
    await people.operator.post(f"/approvals/{approval['id']}/reject")
    assert await is_active(people, asked["id"])


async def test_no_e_mail_without_a_mail_server(people: People) -> None:
    body = {"name": "Mail", "kind": "email", "config": {"to": ["a@example.com"]}}
    answer = await people.editor.post("/actions", json=body)
    assert code(answer) == (409, "email_not_configured")
    assert "MUSTER_SMTP_HOST and MUSTER_SMTP_SENDER" in answer.json()["detail"]
