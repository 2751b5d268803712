"""What agents remember: keeping, changing, finding, limits, and their own tools for it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from muster.adapters.tools.base import ToolFailed, ToolOutcome
from muster.domains.catalogue.memories import AgentMemory
from muster.domains.catalogue.memories.ranking import words_of
from muster.domains.catalogue.memories.schemas import MAX_MEMORIES, category_of
from muster.domains.catalogue.tools import ToolCatalogue, ToolContext
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(people: People) -> dict[str, Any]:
    return await made(people)


async def made(people: People, name: str = "Clerk") -> dict[str, Any]:
    body = {"name": name, "llm": "builtin/extractive"}
    answer = await people.editor.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def keep(people: People, agent: dict[str, Any], content: str, **more: Any) -> dict[str, Any]:
    body = {"content": content, **more}
    answer = await people.editor.post(f"/agents/{agent['id']}/memories", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def contents(people: People, agent: dict[str, Any], **params: Any) -> list[str]:
    answer = await people.viewer.get(f"/agents/{agent['id']}/memories", params=params)
    assert answer.status_code == 200, answer.text
    return [memory["content"] for memory in answer.json()["items"]]


async def recalled(people: People, agent: dict[str, Any], query: str, **more: Any) -> list[str]:
    params = {"query": query, **more}
    answer = await people.viewer.get(f"/agents/{agent['id']}/memories/recall", params=params)
    assert answer.status_code == 200, answer.text
    return [memory["content"] for memory in answer.json()["items"]]


async def test_a_memory_is_kept_changed_and_deleted(
    muster: Muster, people: People, agent: dict[str, Any]
) -> None:
    memory = await keep(people, agent, "  Invoices go out as PDF. ")
    assert memory["content"] == "Invoices go out as PDF."
    assert (memory["category"], memory["importance"], memory["tags"]) == ("general", 5, [])
    assert (memory["metadata"], memory["source"], memory["expires_at"]) == ({}, None, None)
    assert (memory["access_count"], memory["last_accessed_at"]) == (0, None)
    assert (memory["agent_id"], memory["run_id"]) == (agent["id"], None)

    path = f"/agents/memories/{memory['id']}"
    change = {"importance": 9, "category": "Preference", "metadata": {"by": "mail"}}
    changed = await people.editor.put(path, json=change)
    assert changed.status_code == 200, changed.text
    assert changed.json()["category"] == "preference"
    assert changed.json()["metadata"] == {"by": "mail"}
    again = await people.editor.patch(path, json={"tags": ["pdf"], "importance": 9})
    assert again.json()["tags"] == ["pdf"]
    assert (await people.viewer.get(path)).json() == again.json()
    assert (await people.editor.patch(path, json={"importance": 9})).json() == again.json()

    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404
    types = ("memory.created", "memory.updated", "memory.deleted")
    facts = await recorded(muster, *types, chain=people.project_id)
    assert [fact.type for fact in facts] == [types[0], types[1], types[1], types[2]]
    assert [fact.data.get("changed") for fact in facts[1:3]] == [
        ["category", "importance", "metadata"],
        ["tags"],
    ]
    assert facts[3].data["reason"] == "asked"
    assert all("PDF" not in str(fact.data) for fact in facts)
    assert {fact.subject_id for fact in facts} == {memory["id"]}


async def test_one_and_true_are_not_the_same(people: People, agent: dict[str, Any]) -> None:
    memory = await keep(people, agent, "Rome", metadata={"a": 1})
    path = f"/agents/memories/{memory['id']}"
    assert (await people.editor.patch(path, json={"metadata": {"a": True}})).status_code == 200
    assert (await people.viewer.get(path)).json()["metadata"]["a"] is True


async def test_the_list_is_filtered_and_sorted(people: People, agent: dict[str, Any]) -> None:
    await keep(people, agent, "Blue is the colour", category="design", importance=8)
    await keep(people, agent, "Ship on Fridays", importance=2, tags=["100%"])
    await keep(people, agent, "Never call before nine", importance=8)
    other = await made(people, "Other")

    newest = ["Never call before nine", "Ship on Fridays", "Blue is the colour"]
    assert await contents(people, agent) == newest
    assert await contents(people, agent, sort="importance") == [newest[0], newest[2], newest[1]]
    assert await contents(people, agent, category="Design") == ["Blue is the colour"]
    assert await contents(people, agent, search="FRIDAY") == ["Ship on Fridays"]
    assert await contents(people, agent, search="100%") == ["Ship on Fridays"]
    assert await contents(people, agent, search="%") == ["Ship on Fridays"]
    assert await contents(people, agent, min_importance=8) == [newest[0], newest[2]]
    assert await contents(people, agent, limit=1, offset=1) == ["Ship on Fridays"]
    assert await contents(people, other) == []
    unknown = await people.viewer.get(f"/agents/{agent['id']}/memories", params={"sort": "best"})
    assert unknown.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": "  "},
        {"content": "a" * 4_001},
        {"content": "a", "category": "two words"},
        {"content": "a", "importance": 11},
        {"content": "a", "importance": 0},
        {"content": "a", "tags": ["a"] * 21},
        {"content": "a", "expires_at": "2020-01-01T00:00:00Z"},
        {"content": "a", "expires_at": "9999-12-31T23:59:59-23:59"},
        {"content": "a", "metadata": {"big": "x" * 20_000}},
        {"content": "a", "access_count": 7},
    ],
)
async def test_what_is_no_memory(
    people: People, agent: dict[str, Any], body: dict[str, Any]
) -> None:
    answer = await people.editor.post(f"/agents/{agent['id']}/memories", json=body)
    assert answer.status_code == 422, answer.text


async def test_recall_ranks_by_the_words_that_fit(people: People, agent: dict[str, Any]) -> None:
    await keep(people, agent, "The customer Miller pays late and wants invoices by mail.")
    await keep(people, agent, "Invoices of Smith go to Rome.", importance=2)
    tea = await keep(people, agent, "Tea is in the kitchen.", tags=["invoice"])
    await keep(people, agent, "Nothing of the kind.")

    assert (await recalled(people, agent, "invoice for SMITH"))[
        0
    ] == "Invoices of Smith go to Rome."
    assert len(await recalled(people, agent, "invoice")) == 3
    assert await recalled(people, agent, "invoice miller", limit=1) == [
        "The customer Miller pays late and wants invoices by mail."
    ]
    assert await recalled(people, agent, "zebra") == []
    assert await recalled(people, agent, "???") == []
    assert await recalled(people, agent, "invoice", category="nothing") == []

    params = {"query": "kitchen"}
    answer = await people.viewer.get(f"/agents/{agent['id']}/memories/recall", params=params)
    (found,) = answer.json()["items"]
    assert found["score"] > 0
    assert found["access_count"] == 3
    assert found["last_accessed_at"] is not None
    listed = (await people.viewer.get(f"/agents/memories/{found['id']}")).json()
    assert listed["access_count"] == 3
    assert listed["updated_at"] == tea["updated_at"]
    without = await people.viewer.get(f"/agents/{agent['id']}/memories/recall")
    assert without.status_code == 422


async def test_of_two_that_fit_as_well_the_more_important_goes_first(
    people: People, agent: dict[str, Any]
) -> None:
    await keep(people, agent, "Rome one", importance=9)
    await keep(people, agent, "Rome two", importance=5)
    await keep(people, agent, "Rome six", importance=5)

    assert await recalled(people, agent, "Rome") == ["Rome one", "Rome six", "Rome two"]


async def test_recalls_at_once_are_all_counted(people: People, agent: dict[str, Any]) -> None:
    memory = await keep(people, agent, "Rome")

    await asyncio.gather(*(recalled(people, agent, "Rome") for _ in range(5)))

    shown = await people.viewer.get(f"/agents/memories/{memory['id']}")
    assert shown.json()["access_count"] == 5


async def test_what_is_deleted_meanwhile_is_not_found(
    people: People, agent: dict[str, Any]
) -> None:
    memory = await keep(people, agent, "Rome")
    path = f"/agents/memories/{memory['id']}"

    answers = await asyncio.gather(
        people.editor.delete(path),
        people.editor.delete(path),
        people.editor.patch(path, json={"importance": 1}),
        recalled(people, agent, "Rome"),
    )

    assert sorted(answer.status_code for answer in answers[:2]) == [204, 404]
    assert answers[2].status_code in {200, 404}


async def test_what_has_expired_is_gone(
    muster: Muster, people: People, agent: dict[str, Any]
) -> None:
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    memory = await keep(people, agent, "Rome until noon", expires_at=soon)
    assert await contents(people, agent) == ["Rome until noon"]
    async with muster.database.write() as session:
        row = await session.get(AgentMemory, memory["id"])
        assert row is not None
        row.expires_at = clock.now() - timedelta(seconds=1)

    assert await contents(people, agent) == []
    assert await recalled(people, agent, "Rome") == []
    assert (await people.viewer.get(f"/agents/memories/{memory['id']}")).status_code == 404
    stats = (await people.viewer.get(f"/agents/{agent['id']}/memory-stats")).json()
    assert stats["total"] == 0
    await keep(people, agent, "Paris")
    (fact,) = await recorded(muster, "memory.deleted", chain=people.project_id)
    assert (fact.subject_id, fact.data["reason"]) == (memory["id"], "expired")


async def test_a_full_memory_lets_the_least_important_go(
    muster: Muster, people: People, agent: dict[str, Any]
) -> None:
    least = await keep(people, agent, "of little use", importance=3)
    moment = clock.now()
    async with muster.database.write() as session:
        session.add_all(
            AgentMemory(
                project_id=people.project_id,
                agent_id=agent["id"],
                content=f"Fact {number}",
                category="general",
                importance=4,
                tags=[],
                details={},
                created_at=moment + timedelta(milliseconds=number),
            )
            for number in range(MAX_MEMORIES - 1)
        )
    path = f"/agents/{agent['id']}/memories"

    refused = await people.editor.post(path, json={"content": "trifle", "importance": 2})
    assert refused.status_code == 409
    assert refused.json()["error"] == "memory_full"
    await keep(people, agent, "as important", importance=3)
    assert (await people.viewer.get(f"/agents/memories/{least['id']}")).status_code == 404
    await keep(people, agent, "more important", importance=4)
    await keep(people, agent, "more important still", importance=4)

    stats = (await people.viewer.get(f"/agents/{agent['id']}/memory-stats")).json()
    assert (stats["total"], stats["limit"], stats["remaining"]) == (MAX_MEMORIES, MAX_MEMORIES, 0)
    facts = await recorded(muster, "memory.deleted", chain=people.project_id)
    assert {fact.data["reason"] for fact in facts} == {"made_way"}
    assert len(facts) == 3
    assert await contents(people, agent, search="as important") == []
    assert await contents(people, agent, search="Fact 0") == []


async def test_figures(people: People, agent: dict[str, Any]) -> None:
    path = f"/agents/{agent['id']}/memory-stats"
    empty = (await people.viewer.get(path)).json()
    assert (empty["total"], empty["average_importance"], empty["oldest_at"]) == (0, None, None)
    assert (empty["by_category"], empty["characters"], empty["remaining"]) == ({}, 0, 1_000)

    first = await keep(people, agent, "abc", category="one", importance=4)
    last = await keep(people, agent, "defgh", importance=5)
    await keep(people, await made(people, "Other"), "not counted")
    await recalled(people, agent, "abc")

    figures = (await people.viewer.get(path)).json()
    assert figures["agent_id"] == agent["id"]
    assert (figures["total"], figures["average_importance"]) == (2, 4.5)
    assert (figures["characters"], figures["access_count"]) == (8, 1)
    assert figures["by_category"] == {"general": 1, "one": 1}
    assert (figures["oldest_at"], figures["newest_at"]) == (
        first["created_at"],
        last["created_at"],
    )
    assert figures["last_accessed_at"] is not None


async def test_who_may(people: People, agent: dict[str, Any]) -> None:
    memory = await keep(people, agent, "Rome")
    path, one = f"/agents/{agent['id']}/memories", f"/agents/memories/{memory['id']}"

    assert (await people.operator.post(path, json={"content": "x"})).status_code == 403
    assert (await people.operator.patch(one, json={"content": "x"})).status_code == 403
    assert (await people.operator.delete(one)).status_code == 403
    assert (await people.outsider.get(path)).status_code == 404
    assert (await people.outsider.get(one)).status_code == 404
    assert (await people.outsider.post(path, json={"content": "x"})).status_code == 404
    assert (await people.outsider.delete(one)).status_code == 404
    recall = await people.outsider.get(f"{path}/recall", params={"query": "Rome"})
    assert recall.status_code == 404


async def test_agents_are_named_by_key_too(people: People, agent: dict[str, Any]) -> None:
    await keep(people, agent, "Rome")
    answer = await people.viewer.get(f"/agents/{agent['key']}/memories")
    assert answer.json()["total"] == 1
    assert (await people.viewer.get("/agents/nobody/memories")).status_code == 404


async def act(muster: Muster, name: str, context: ToolContext, /, **arguments: Any) -> ToolOutcome:
    tools = await muster.tools.bind(context.project_id, [name], {})
    return await tools[0].call(arguments, context)


async def test_an_agent_keeps_and_finds_its_own(
    muster: Muster, people: People, agent: dict[str, Any]
) -> None:
    other = await made(people, "Other")
    context = ToolContext(
        project_id=people.project_id, run_id="run", agent_id=agent["id"], step_key="s1"
    )

    kept = await act(
        muster,
        "remember",
        context,
        content="The customer wants PDF.",
        category="User Preference",
        importance=7,
        tags=["billing"],
    )
    twice = await act(muster, "remember", context, content="The customer wants PDF.")
    found = await act(muster, "recall", context, query="what does the customer want?")
    theirs = await act(
        muster,
        "recall",
        ToolContext(project_id=people.project_id, agent_id=other["id"]),
        query="PDF",
    )

    assert kept.content["category"] == "user-preference"
    assert twice.content == kept.content
    (memory,) = found.content["memories"]
    assert memory["content"] == "The customer wants PDF."
    assert (memory["category"], memory["importance"]) == ("user-preference", 7)
    assert theirs.content["memories"] == []
    shown = (await people.viewer.get(f"/agents/memories/{kept.content['memory_id']}")).json()
    assert (shown["source"], shown["run_id"], shown["access_count"]) == ("agent", "run", 1)
    of_kind = await act(muster, "recall", context, query="pdf", category="user preference")
    assert len(of_kind.content["memories"]) == 1
    (fact,) = await recorded(muster, "memory.created", chain=people.project_id)
    assert (fact.actor_name, fact.data["run_id"]) == ("Clerk", "run")


async def test_nobody_but_an_agent_remembers(muster: Muster, people: People) -> None:
    context = ToolContext(project_id=people.project_id)
    with pytest.raises(ToolFailed, match="agent that runs"):
        await act(muster, "remember", context, content="x")
    unfit = await act(muster, "remember", context, content="")
    assert unfit.is_error


async def test_a_process_offers_what_it_can_carry_out(muster: Muster, people: People) -> None:
    without = ToolCatalogue(replace(muster.tools.services, acts=dict))
    offered = {tool.name for tool in await muster.tools.all(people.project_id)}
    lacking = offered - {tool.name for tool in await without.all(people.project_id)}
    assert lacking == set(muster.tools.services.acts())
    assert {"remember", "recall"} < lacking
    ((tool, problem),) = await without.problems(people.project_id, ["recall"], {})
    assert tool == "recall"
    assert "No tool is called" in problem


@pytest.mark.parametrize(
    ("text", "category"),
    [("Preference", "preference"), ("to do!", "to-do"), ("...", "general"), ("a_b.c", "a_b.c")],
)
def test_a_category_is_made_of_what_an_agent_says(text: str, category: str) -> None:
    assert category_of(text) == category


def test_words() -> None:
    assert words_of("The Invoices, of glass: Straße 7s") == [
        "the",
        "invoice",
        "of",
        "glass",
        "strasse",
        "7s",
    ]
