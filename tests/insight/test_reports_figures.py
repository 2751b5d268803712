"""What reports say is what the API says."""

import io
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pypdf import PdfReader

from muster.domains.insight.reports.rendering.xml import NAMESPACE
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.insight.report_setting import HOSTILE, UNICODE, World, add_steps, call, eventful, made
from tests.support.people import People

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(working: Muster, people: People) -> World:
    return await eventful(working, people)


async def told(people: People, **body: Any) -> dict[str, Any]:
    return (await made(people.operator, format="json", **body)).json()


async def get(people: People, path: str, **params: Any) -> dict[str, Any]:
    answer = await people.viewer.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_name(counts: list[dict[str, Any]]) -> dict[str, int]:
    return {count["name"]: count["count"] for count in counts}


async def test_costs_are_those_of_the_cost_views(
    people: People, working: Muster, world: World
) -> None:
    said: list[dict[str, Any]] = [{"provider": odd, "model": odd} for odd in (5, True, ["x"], "")]
    said += [{"provider": "x" * 300}, {"model": "anthropic/claude"}, {"model": "gpt-4o"}]
    odd = [call(f"o{n}", world.begin, properties=each) for n, each in enumerate(said)]
    await add_steps(working, people.project_id, odd, created_at=world.begin)
    costs = (await told(people, **world.period))["costs"]
    summary = (await get(people, "/cost/summary", **world.period))["total"]
    sums = [name for name in summary if name != "cost"]
    assert summary["cost"] > 0
    assert summary["unpriced_calls"] > 0

    def same(row: dict[str, Any], other: dict[str, Any]) -> None:
        assert {name: row[name] for name in sums} == {name: other[name] for name in sums}
        assert row["cost"] == pytest.approx(other["cost"], abs=1e-9)

    same(costs["total"], summary)
    agents = (await get(people, "/cost/by-agent", **world.period))["agents"]
    assert len(costs["by_agent"]) == len(agents) > 1
    for row, other in zip(costs["by_agent"], agents, strict=True):
        assert (row["id"], row["name"]) == (other["agent_id"], other["agent_name"])
        same(row, other)
    providers = (await get(people, "/cost/by-provider", **world.period))["providers"]
    for row, other in zip(costs["by_provider"], providers, strict=True):
        assert row["name"] == other["provider"]
        same(row, other)
    assert {row["name"] for row in costs["by_model"]} == {
        model for provider in providers for model in provider["models"]
    }
    for name in (*sums, "cost"):
        whole = pytest.approx(costs["total"][name])
        assert sum(row[name] for row in costs["by_model"]) == whole


async def test_days_are_those_of_the_cost_views(people: People, world: World) -> None:
    days = (await told(people, **world.period))["activity"]["days"]
    listed = (await get(people, "/cost/daily", **world.period))["days"]
    others = {day["date"]: day for day in listed if day["calls"]}
    assert [day["date"] for day in days if day["model_calls"]] == list(others)
    assert len(others) > 5
    for day in days:
        other = others[day["date"]]
        assert day["cost"] == pytest.approx(other["cost"], abs=1e-9)
        assert (day["model_calls"], day["unpriced_calls"]) == (
            other["calls"],
            other["unpriced_calls"],
        )


async def test_runs_and_steps_are_those_of_the_lists(people: People, world: World) -> None:
    report = await told(people, **world.period)
    bounds = {"created_from": world.period["from"], "created_to": world.period["to"]}
    activity = report["activity"]
    for row in activity["runs_by_kind"]:
        listed = await get(people, "/executions", status=row["status"], **bounds)
        assert row["count"] == listed["total"]
    assert activity["runs"] == (await get(people, "/executions", **bounds))["total"] == 30
    assert activity["steps"] == (await get(people, "/logs"))["total"] == 90
    assert sum(row["count"] for row in activity["steps_by_kind"]) == 90
    assert sum(day["steps"] for day in activity["days"]) == 90
    assert sum(agent["steps"] for agent in report["agents"]["rows"]) == 90
    decisions = by_name(report["decisions"]["by_action"])
    assert decisions == {"allow": 80, "warn": 5, "ask": 0, "block": 5}
    assert report["decisions"]["total"] == 90
    assert report["decisions"]["by_check"] == [
        {"check": "policy", "action": "block", "findings": 5},
        {"check": "policy", "action": "warn", "findings": 5},
    ]


async def test_incidents_are_those_of_the_api(people: People, world: World) -> None:
    report = await told(people, **world.period)
    incidents = report["incidents"]
    summary = await get(people, "/incidents/summary", **world.period)
    assert incidents["total"] == incidents["last_occurred"] == summary.pop("total") == 16
    assert by_name(incidents["by_status"]) == summary
    assert set(summary.values()) == {2, 4, 8}
    for row in incidents["rows"]:
        shown = await get(people, f"/incidents/{row['id']}")
        assert (row["status"], row["severity"]) == (shown["status"], shown["severity"])
        assert (row["count"], row["policy"]) == (shown["count"], shown["policy_name"])
        moves = [
            (move["from_status"], move["to_status"], move["by"], move["reason"], move["at"])
            for move in row["moves"]
        ]
        assert moves == [
            (c["from"], c["to"], c["by_name"], c["reason"], c["at"]) for c in shown["changes"]
        ]
    resolved = [
        (row["first_occurrence"], [m["at"] for m in row["moves"] if m["to_status"] == "resolved"])
        for row in incidents["rows"]
    ]
    assert incidents["resolved"] == sum(bool(at) for _, at in resolved) == 8
    assert incidents["mean_time_to_resolve_s"] > 86_400
    violations = {row["policy"]: row for row in report["violations"]["rows"]}
    assert violations[HOSTILE]["occurrences"] == 10
    assert violations[UNICODE]["incidents"] == 4
    limit = violations["ASI08: Models are not called without end"]
    assert (limit["warned"], limit["blocked"], limit["occurrences"]) == (5, 5, 10)
    assert [count["count"] for count in report["violations"]["by_severity"]] == [10] * 4


async def test_approvals_are_those_of_the_api(people: People, world: World) -> None:
    approvals = (await told(people, **world.period))["approvals"]
    listed = (await get(people, "/approvals", status="all"))["items"]
    assert approvals["total"] == len(listed) == 6
    assert by_name(approvals["by_status"])["pending"] == 2
    for row, other in zip(approvals["rows"], listed, strict=True):
        for name in ("id", "title", "status", "reason", "decided_at"):
            assert row[name] == other[name]
        assert row["decided_by"] == other["decided_by_name"]
        assert row["agent"] == "Document analyst"
        assert (row["waited_s"] is None) == (other["decided_at"] is None)
    waits = [row["waited_s"] for row in approvals["rows"] if row["waited_s"] is not None]
    assert approvals["longest_wait_s"] == max(waits) > 86_400
    assert approvals["mean_wait_s"] == pytest.approx(sum(waits) / len(waits), abs=0.01)


async def test_agents_and_changes(people: People, world: World) -> None:
    gone = world.agents[UNICODE]
    assert (await people.editor.delete(f"/agents/{gone}")).status_code in {200, 204}
    report = await told(people, **world.period)
    agents = {row["name"]: row for row in report["agents"]["rows"]}
    assert set(agents) == set(world.agents)
    assert not agents[UNICODE]["is_active"]
    analyst = agents["Document analyst"]
    assert (analyst["risk_classification"], analyst["environment"]) == ("limited", "production")
    assert agents[HOSTILE]["owner"] == "ops-team@example.org"
    changes = report["changes"]
    types = by_name(changes["by_type"])
    assert types == {"policy.created": 8, "agent.created": 4, "agent.deleted": 1}
    newest = changes["rows"][0]
    assert (newest["type"], newest["subject"], newest["by"]) == ("agent.deleted", UNICODE, "Editor")
    assert "rule type: field_not_empty" in changes["rows"][1]["detail"]


async def test_only_some_agents(people: People, world: World) -> None:
    analyst = world.agents["Document analyst"]
    whole = await told(people, **world.period)
    (of_analyst,) = [row for row in whole["costs"]["by_agent"] if row["id"] == analyst]
    for body in ({"agent_ids": [analyst]}, {"environment": "production"}):
        report = await told(people, **body, **world.period)
        assert report["costs"]["total"]["cost"] == of_analyst["cost"]
        assert [row["id"] for row in report["agents"]["rows"]] == [analyst]
        assert report["activity"]["steps"] == report["agents"]["rows"][0]["steps"] > 0
        assert report["incidents"]["total"] == 4
        assert report["approvals"]["total"] == 6
        assert report["integrity"]["runs"] == report["activity"]["runs"] < 30
        assert any("some agents only" in note for note in report["notes"])
    both = await told(people, agent_ids=[analyst], environment="staging", **world.period)
    assert both["activity"]["steps"] == 0


async def test_only_the_period(people: People, working: Muster, world: World) -> None:
    before = {"from": "2025-01-01", "to": world.period["from"]}
    at = clock.now()
    await add_steps(working, people.other_project_id, [call("m1", at)], name="Theirs")
    report = await told(people, **before)
    summary = report["summary"]
    assert {name: value for name, value in summary.items() if value} == {
        "events_valid": True,
        "framework_items": 10,
        "framework_gaps": 3,
    }
    assert not any("had not ended" in note for note in report["notes"])
    whole = await told(people, **world.period)
    assert any("had not ended" in note for note in whole["notes"])
    assert whole["summary"]["runs"] == 30


async def test_the_three_formats_say_the_same(people: People, world: World) -> None:
    body = {"title": f"October {HOSTILE}", **world.period}
    plain = await told(people, **body)
    root = ET.fromstring((await made(people.operator, format="xml", **body)).content)
    spaces = {"r": NAMESPACE}
    for name, value in plain["summary"].items():
        found = root.findtext(f"r:summary/r:{name.replace('_', '-')}", namespaces=spaces)
        assert found == (str(value).lower() if isinstance(value, bool) else str(value)), name
    assert root.findtext("r:cover/r:title", namespaces=spaces) == body["title"]
    incidents = root.findall("r:incidents/r:rows/r:row", spaces)
    assert len(incidents) == 16
    assert len(root.findall("r:frameworks/r:framework/r:items/r:item", spaces)) == 10
    moves = root.findall("r:incidents/r:rows/r:row/r:moves/r:move", spaces)
    assert len(moves) == sum(len(row["moves"]) for row in plain["incidents"]["rows"])

    reader = PdfReader(io.BytesIO((await made(people.operator, format="pdf", **body)).content))
    assert reader.metadata is not None
    assert reader.metadata.title == body["title"]
    pages = [page.extract_text().replace("\u200b", "") for page in reader.pages]
    text = re.sub(r"\s+", " ", " ".join(pages))
    assert len(pages) > 5
    for number, page in enumerate(pages[1:], 2):
        assert f"Page {number} of {len(pages)}" in page
    costs = plain["costs"]
    figures = [
        f"${costs['total']['cost']:.4f}".rstrip("0"),
        *(f"${row['cost']:.4f}" for row in costs["by_agent"]),
        f"{costs['total']['input_tokens']:,}",
        "90 steps were judged",
        "16 incidents occurred or were handled",
        "30 runs with 90 steps",
        plain["integrity"]["checkpoint"]["root"],
        plain["integrity"]["events"]["head_hash"],
        *(row["id"] for row in plain["incidents"]["rows"]),
        UNICODE,
        "Refund order 1040?",
        "Agentic Supply Chain Vulnerabilities",
    ]
    root_hash = re.search(r"Root hash ([0-9a-f]{64})", text)
    assert root_hash, "the root of the newest checkpoint, which each report makes anew"
    figures.remove(plain["integrity"]["checkpoint"]["root"])
    figures.remove(plain["integrity"]["events"]["head_hash"])
    for figure in figures:
        assert figure in text, figure


async def test_an_empty_project(people: People) -> None:
    body = {"from": "2026-01-01", "to": "2026-02-01"}
    content = (await made(people.operator, format="pdf", **body)).content
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    text = re.sub(r"\s+", " ", " ".join(pages))
    for sentence in (
        "No agent existed in this period.",
        "No run was created in this period.",
        "No policy was violated in this period.",
        "No incidents were opened in this period.",
        "No approval was asked for or decided in this period.",
        "No model was called in this period.",
        "Nothing was changed in this period.",
        "No framework is applied in this project.",
    ):
        assert sentence in text
