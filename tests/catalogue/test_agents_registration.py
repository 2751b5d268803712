"""Agents that register themselves: by their account and key, once, whatever the number of keys."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.external_setting import agent_client, code

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]

PUBLISHED: dict[str, Any] = {
    "agent_key": "invoices",
    "name": "Invoices",
    "purpose": "Reads invoices",
    "owner_id": "anna",
    "risk_classification": "limited",
    "maintainer_id": None,
    "environment": "production",
    "metadata": {"team": "finance"},
    "description": None,
    "store_metadata": None,
    "declared_tools": ["ocr"],
}


async def test_created_and_updated(muster: Muster, people: People, connect: Connect) -> None:
    agent = await agent_client(people.owner, connect)
    first = await agent.post("/agents", json=PUBLISHED)
    assert first.status_code == 201, first.text
    made = first.json()
    assert made["registration_status"] == "created"
    assert made["agent_id"] == made["id"]
    assert (made["agent_key"], made["kind"], made["version"]) == ("invoices", "external", 1)
    assert (made["owner_id"], made["maintainer_id"]) == ("anna", "anna")
    assert (made["metadata"], made["declared_tools"]) == ({"team": "finance"}, ["ocr"])
    assert made["configuration_status"]["is_ready"] is True
    assert made["configuration_status"]["issues"] == []
    [event] = await recorded(muster, "agent.registered", chain=people.project_id)
    assert event.subject_id == made["id"]
    assert event.data["account_id"] == made["account_id"]

    again = await agent.post("/agents", json=PUBLISHED)
    assert (again.status_code, again.json()["registration_status"]) == (200, "updated")
    assert (again.json()["agent_id"], again.json()["version"]) == (made["id"], 1)

    # What a person has added stays where the agent says nothing of it.
    path = f"/agents/{made['id']}"
    assert (await people.editor.patch(path, json={"description": "Ours"})).status_code == 200
    other_key = await agent_client(people.owner, connect)
    changed = await other_key.post("/agents", json={**PUBLISHED, "purpose": "Pays invoices"})
    assert (changed.status_code, changed.json()["agent_id"]) == (200, made["id"])
    now = changed.json()
    assert (now["purpose"], now["description"], now["version"]) == ("Pays invoices", "Ours", 3)
    assert (await people.viewer.get(path)).json()["configuration_status"]["is_ready"] is True
    versions = (await people.viewer.get(f"{path}/versions")).json()["items"]
    assert versions[0]["note"] == "Registered again"


async def test_metadata_that_is_not_to_be_stored(people: People, connect: Connect) -> None:
    agent = await agent_client(people.owner, connect)
    body = {**PUBLISHED, "store_metadata": False}
    assert (await agent.post("/agents", json=body)).json()["metadata"] == {}
    kept = await agent.post("/agents", json={**PUBLISHED, "store_metadata": True})
    assert kept.json()["metadata"] == {"team": "finance"}
    assert "store_metadata" not in kept.json()
    assert (await agent.post("/agents", json=body)).json()["metadata"] == {}
    by_person = await people.editor.post(
        "/agents", json={"name": "Own", "metadata": {"a": 1}, "store_metadata": False}
    )
    assert by_person.json()["metadata"] == {}


async def test_accounts_do_not_share_keys(people: People, connect: Connect) -> None:
    ids = set[str]()
    for person in (people.owner, people.editor):
        agent = await agent_client(person, connect)
        answer = await agent.post("/agents", json={"agent_key": "same"})
        assert (answer.status_code, answer.json()["name"]) == (201, "same")
        ids.add(answer.json()["agent_id"])
    own = await people.editor.post("/agents", json={"name": "Own", "key": "same"})
    assert (own.status_code, own.json()["registration_status"]) == (201, "created")
    assert own.json()["account_id"] is None
    assert len({*ids, own.json()["id"]}) == 3
    taken = await people.editor.post("/agents", json={"name": "Own", "key": "same"})
    assert code(taken) == (409, "agent_key_taken")


async def test_find_by_key(people: People, connect: Connect) -> None:
    async def run() -> httpx2.Response:
        return await people.operator.post("/executions", json={"agent_id": "same"})

    for person in (people.owner, people.editor):
        agent = await agent_client(person, connect)
        assert (await agent.post("/agents", json={"agent_key": "same"})).status_code == 201
        expected = "agent_runs_elsewhere" if person is people.owner else "agent_ambiguous"
        assert code(await run()) == (409, expected)
    # The project's own agent is the one that a key names.
    body = {"name": "Own", "key": "same", "llm": "builtin/extractive"}
    own = (await people.editor.post("/agents", json=body)).json()
    started = await run()
    assert started.status_code == 201
    execution = await people.viewer.get(f"/executions/{started.json()['execution_id']}")
    assert execution.json()["agent_id"] == own["id"]


async def test_fifty_at_once_make_one_agent(
    muster: Muster, people: People, connect: Connect
) -> None:
    clients = [await agent_client(people.owner, connect) for _ in range(2)]
    answers = await asyncio.gather(
        *(clients[n % 2].post("/agents", json=PUBLISHED) for n in range(50))
    )
    assert sorted(a.status_code for a in answers) == [200] * 49 + [201]
    assert len({a.json()["agent_id"] for a in answers}) == 1
    assert len(await recorded(muster, "agent.registered", chain=people.project_id)) == 1


async def test_deactivated_and_activated(muster: Muster, people: People, connect: Connect) -> None:
    agent = await agent_client(people.owner, connect)
    made = (await agent.post("/agents", json=PUBLISHED)).json()["id"]
    assert (await people.editor.delete(f"/agents/{made}")).status_code == 204
    refused = await agent.post("/agents", json=PUBLISHED)
    assert code(refused) == (409, "agent_inactive")
    assert "activate" in refused.json()["message"]
    assert code(await people.viewer.post(f"/agents/{made}/activate"))[0] == 403
    assert code(await people.outsider.post(f"/agents/{made}/activate"))[0] == 404
    for _ in range(2):
        active = await people.editor.post(f"/agents/{made}/activate")
        assert (active.status_code, active.json()["active"]) == (200, True)
    assert len(await recorded(muster, "agent.activated", chain=people.project_id)) == 1
    assert (await agent.post("/agents", json=PUBLISHED)).status_code == 200


async def test_activation_when_the_key_was_given_away(people: People) -> None:
    ids: list[str] = []
    for _ in range(2):
        made = await people.editor.post("/agents", json={"name": "A", "key": "a"})
        ids.append(made.json()["id"])
        if len(ids) == 1:
            await people.editor.delete(f"/agents/{ids[0]}")
    assert code(await people.editor.post(f"/agents/{ids[0]}/activate")) == (409, "agent_key_taken")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"agent_key": None}, "agent_key"),
        ({"tools": ["calculator"]}, "tools"),
        ({"llm": "openai/gpt-4o"}, "llm"),
        ({"kind": "native"}, "kind"),
        ({"environment": "moon"}, "environment"),
        ({"store_metadata": "perhaps"}, "store_metadata"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
async def test_refusals(
    people: People, connect: Connect, fields: dict[str, Any], field: str
) -> None:
    agent = await agent_client(people.owner, connect)
    answer = await agent.post("/agents", json={**PUBLISHED, **fields})
    assert answer.status_code == 422
    assert field in [item["field"] for item in answer.json()["errors"]]


async def test_idempotency_key_and_kind_of_a_registered_agent(
    people: People, connect: Connect
) -> None:
    agent = await agent_client(people.owner, connect)
    headers = {"Idempotency-Key": "one"}
    first = await agent.post("/agents", json=PUBLISHED, headers=headers)
    again = await agent.post("/agents", json=PUBLISHED, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    path = f"/agents/{first.json()['id']}"
    changed = await people.editor.patch(path, json={"kind": "native", "name": "New"})
    assert (changed.json()["kind"], changed.json()["name"]) == ("external", "New")
    assert code(await agent.get("/agents")) == (403, "insufficient_role")


async def test_deactivated_agents_are_not_taken_for_those_of_the_project(people: People) -> None:
    made = (await people.editor.post("/agents", json={"name": "A", "key": "a"})).json()
    await people.editor.delete(f"/agents/{made['id']}")
    missing = await people.operator.post("/executions", json={"agent_id": "a"})
    assert code(missing) == (404, "agent_not_found")
