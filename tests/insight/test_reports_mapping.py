"""The mapping to frameworks: what active policies hold, and honestly what not."""

from typing import Any

import pytest

from muster.domains.control.policies import Policy, policy_templates
from muster.domains.insight.reports.gathering.framework_items import ITEMS
from muster.domains.insight.reports.gathering.mapping import map_frameworks
from muster.entrypoints.assembly import Muster
from tests.insight.report_setting import made, violate
from tests.support.people import People

pytestmark = pytest.mark.anyio

PERIOD = {"from": "2026-01-01", "to": "2027-01-01"}
ASI08 = "ASI08: Models are not called without end"


async def frameworks(people: People, **body: Any) -> list[dict[str, Any]]:
    plain = (await made(people.operator, format="json", **PERIOD, **body)).json()
    return plain["frameworks"]


async def apply(people: People, template: str, **body: Any) -> dict[str, str]:
    answer = await people.editor.post(f"/policy-templates/{template}/apply", json=body)
    assert answer.status_code in {200, 201}, answer.text
    return {policy["name"]: policy["id"] for policy in answer.json()["policies"]}


def states(framework: dict[str, Any]) -> dict[str, str]:
    return {item["reference"].rsplit(" ", 1)[-1]: item["state"] for item in framework["items"]}


async def test_nothing_is_applied(people: People) -> None:
    assert await frameworks(people) == []
    (asked,) = await frameworks(people, framework="owasp_agentic_default")
    assert not asked["is_applied"]
    assert set(states(asked).values()) == {"gap"}
    assert (asked["held"], asked["partial"], asked["gaps"]) == (0, 0, 10)


async def test_gaps_are_told(people: People) -> None:
    policies = await apply(people, "owasp_agentic_default")
    (framework,) = await frameworks(people)
    assert (framework["id"], framework["is_applied"]) == ("owasp_agentic_default", True)
    gaps = {name for name, state in states(framework).items() if state == "gap"}
    assert gaps == {"ASI04", "ASI07", "ASI09"}
    assert all("no policy" in i["gap"] for i in framework["items"] if i["state"] == "gap")

    off = await people.editor.post(f"/policies/{policies[ASI08]}/disable")
    assert off.status_code == 200, off.text
    gone = policies["ASI10: Every agent has an owner"]
    assert (await people.editor.delete(f"/policies/{gone}")).status_code in {200, 204}
    (framework,) = await frameworks(people)
    after = states(framework)
    assert (after["ASI08"], after["ASI10"], after["ASI05"]) == ("partial", "gap", "held")
    items = {item["reference"]: item for item in framework["items"]}
    assert ASI08 in items["OWASP ASI08"]["gap"]
    notes = {policy["name"]: policy["note"] for i in items.values() for policy in i["policies"]}
    assert notes[ASI08] == "is there and disabled"
    assert "not active" in items["OWASP ASI10"]["gap"] or "none" in items["OWASP ASI10"]["gap"]
    on = await people.editor.post(f"/policies/{policies[ASI08]}/enable")
    assert on.status_code == 200, on.text
    (framework,) = await frameworks(people)
    assert states(framework)["ASI08"] == "held"
    (policy,) = [
        policy
        for item in framework["items"]
        for policy in item["policies"]
        if policy["name"] == ASI08
    ]
    assert policy["note"] == "was changed since it was applied"


async def test_only_for_one_agent(people: People) -> None:
    body = {"name": "One", "llm": "builtin/extractive"}
    agent = (await people.editor.post("/agents", json=body)).json()["id"]
    await apply(people, "gdpr", agent_id=agent)
    (framework,) = await frameworks(people)
    held = [item for item in framework["items"] if item["state"] != "gap"]
    assert held
    assert {item["state"] for item in held} == {"partial"}
    assert {policy["binds"] for item in held for policy in item["policies"]} == {"1 agent only"}


async def test_violations_are_counted(people: People, working: Muster) -> None:
    policies = await apply(people, "owasp_agentic_default")
    await apply(people, "starter")
    async with working.database.write() as session:
        for _ in range(3):
            await violate(session, people.project_id, "a", ASI08, policy_id=policies[ASI08])
    owasp, starter = await frameworks(people)
    counted = {item["reference"]: item["violations"] for item in owasp["items"]}
    assert {name: n for name, n in counted.items() if n} == {"OWASP ASI08": 3}
    assert (starter["id"], starter["gaps"]) == ("starter", 0)
    assert all(item["title"] == "" for item in starter["items"])
    (only,) = await frameworks(people, framework="starter")
    assert only == starter


def test_every_policy_of_a_template_is_in_an_item() -> None:
    """A template that grows must not lose its new policies in the report."""
    assert set(ITEMS) <= set(policy_templates())
    for template in policy_templates().values():
        stored = [
            Policy(
                id=str(place),
                name=raw["name"],
                source_template=template.id,
                enabled=True,
                agent_id=None,
                version=1,
            )
            for place, raw in enumerate(template.policies)
        ]
        (framework,) = map_frameworks(stored, {}, None)
        named = [policy.name for item in framework.items for policy in item.policies]
        assert sorted(named) == sorted(raw["name"] for raw in template.policies)
        assert framework.partial == 0
