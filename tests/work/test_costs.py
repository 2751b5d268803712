"""The cost views: every figure is a sum over the journal."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from muster.domains.work.journal import Step
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.journal_rows import add_call, add_run
from tests.support.people import People
from tests.work.driving import make_agent, start, until

pytestmark = pytest.mark.anyio

SUMS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


@pytest.fixture
async def client(people: People) -> httpx2.AsyncClient:
    return people.viewer


@pytest.fixture
async def spent(people: People, working: Muster) -> dict[str, str]:
    """Calls of two agents over two months, some without a price, and one of another project."""
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    month = today.replace(day=1)
    agents = {
        name: (await make_agent(people.editor, name=name, llm="builtin/extractive"))["id"]
        for name in ("Ada", "Bob")
    }
    calls: list[dict[str, Any]] = [
        {"cost": 1.5, "agent_id": agents["Ada"], "ended_at": today},
        {"cost": 0.25, "agent_id": agents["Bob"], "ended_at": today, "provider": "anthropic"},
        {"cost": None, "agent_id": agents["Bob"], "ended_at": today, "name": "own"},
        {"cost": 4.0, "agent_id": agents["Ada"], "ended_at": today - timedelta(microseconds=1)},
        {"cost": 8.0, "agent_id": None, "ended_at": month - timedelta(days=40), "provider": None},
        {"cost": None, "agent_id": "gone", "ended_at": today, "status": "error"},
        {"cost": None, "agent_id": agents["Ada"], "ended_at": today, "kind": "step.resource"},
    ]
    async with working.database.write() as session:
        run_id = await add_run(session, people.project_id)
        for seq, call in enumerate(calls, 1):
            await add_call(session, people.project_id, run_id, seq, **call)
        foreign = await add_run(session, people.other_project_id)
        await add_call(session, people.other_project_id, foreign, 1, cost=100.0)
    return agents


async def journal(muster: Muster, project_id: str) -> list[Step]:
    async with muster.database.read() as session:
        query = select(Step).where(Step.project_id == project_id, Step.kind == "step.model")
        return list(await session.scalars(query))


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"/cost/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_summary(
    client: httpx2.AsyncClient, people: People, working: Muster, spent: dict[str, str]
) -> None:
    steps = await journal(working, people.project_id)
    summary = await get(client, "summary")
    assert summary["total_cost"] == sum(s.cost or 0 for s in steps) == 13.75
    assert summary["unpriced_calls"] == sum(s.cost is None for s in steps) == 2
    for name in SUMS:
        assert summary["total"][name] == sum(getattr(s, name) for s in steps)
    assert summary["total"]["calls"] == len(steps)
    periods = summary["periods"]
    assert (periods["today"]["cost"], periods["today"]["unpriced_calls"]) == (1.75, 2)
    assert summary["today_cost"] == 1.75
    assert periods["yesterday"]["cost"] == 4.0
    both = summary["this_month_cost"] + summary["previous_month_cost"]
    assert both == 5.75
    midnight = clock.now().strftime("%Y-%m-%dT00:00:00Z")
    assert (await get(client, "summary", **{"from": midnight}))["total_cost"] == 1.75
    assert (await get(client, "summary", to=midnight))["total_cost"] == 12.0
    assert (await get(people.outsider, "summary"))["total_cost"] == 100.0


async def test_daily(client: httpx2.AsyncClient, people: People, spent: dict[str, str]) -> None:
    daily = await get(client, "daily", days=3)
    assert [day["cost"] for day in daily["days"]][1:] == [4.0, 1.75]
    assert daily["days"][-1]["date"] == clock.now().date().isoformat()
    assert daily["days"][-1]["unpriced_calls"] == daily["unpriced_calls"] == 2
    year = await get(client, "daily", days=366)
    assert (len(year["days"]), year["total_cost"]) == (366, 13.75)
    assert sum(day["calls"] == 0 for day in year["days"]) >= 363
    assert len((await get(client, "daily"))["days"]) == 30
    span = await get(client, "daily", **{"from": "2020-02-27T12:00:00Z", "to": "2020-03-02"})
    assert [day["date"] for day in span["days"]] == [
        "2020-02-27",
        "2020-02-28",
        "2020-02-29",
        "2020-03-01",
    ]
    for params in (
        {"days": 0},
        {"days": 367},
        {"from": "2020-01-01", "to": "2022-01-01"},
        {"from": "2021-01-01", "to": "2020-01-01"},
        {"to": "0001-01-01"},
        {"to": "-5.9e-08"},
        {"from": "9999-12-31"},
    ):
        assert (await client.get("/cost/daily", params=params)).status_code == 422, params


async def test_by_agent(client: httpx2.AsyncClient, people: People, spent: dict[str, str]) -> None:
    assert (await people.editor.delete(f"/agents/{spent['Bob']}")).status_code in {200, 204}
    costs = await get(client, "by-agent")
    assert [(a["agent_name"], a["cost"], a["unpriced_calls"]) for a in costs["agents"]] == [
        (None, 8.0, 0),
        ("Ada", 5.5, 0),
        ("Bob", 0.25, 1),
        (None, 0.0, 1),
    ]
    assert [a["agent_id"] for a in costs["agents"]] == [None, spent["Ada"], spent["Bob"], "gone"]
    assert sum(a["share"] for a in costs["agents"]) == pytest.approx(100, abs=0.1)
    assert (costs["total_cost"], costs["unpriced_calls"]) == (13.75, 2)
    nothing = await get(client, "by-agent", to="2020-01-01T00:00:00Z")
    assert (nothing["agents"], nothing["total_cost"]) == ([], 0)


async def test_by_provider(client: httpx2.AsyncClient, spent: dict[str, str]) -> None:
    costs = await get(client, "by-provider")
    assert [(p["provider"], p["cost"], p["calls"]) for p in costs["providers"]] == [
        ("unknown", 8.0, 1),
        ("openai", 5.5, 4),
        ("anthropic", 0.25, 1),
    ]
    assert costs["providers"][1]["models"] == ["gpt", "own"]
    assert costs["providers"][1]["unpriced_calls"] == costs["unpriced_calls"] == 2
    assert costs["providers"][1]["share"] == 40.0


async def test_a_real_run_is_in_every_view(
    client: httpx2.AsyncClient, people: People, working: Muster
) -> None:
    agent = await make_agent(people.editor)
    await until(client, await start(people.operator, agent))
    steps = await journal(working, people.project_id)
    counted = Counter({name: sum(getattr(s, name) for s in steps) for name in SUMS})
    total = (await get(client, "summary"))["total"]
    assert {name: total[name] for name in SUMS} == counted
    assert counted["input_tokens"] > 0
    # The scripted server has no published prices: its calls are told, not counted as free.
    assert (total["cost"], total["unpriced_calls"]) == (0, len(steps))
    (named,) = (await get(client, "by-agent"))["agents"]
    assert (named["agent_name"], named["unpriced_calls"]) == ("Tester", len(steps))
    (provider,) = (await get(client, "by-provider"))["providers"]
    assert (provider["provider"], provider["models"]) == ("openai", ["openai/scripted-large"])
    day = (await get(client, "daily", days=1))["days"][0]
    assert day["calls"] == len(steps)
    assert datetime.fromisoformat(day["date"]).replace(tzinfo=UTC) <= clock.now()
