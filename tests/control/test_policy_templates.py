"""Policy templates: each policy does what it says, and the whole is applied and taken back."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from muster.domains.control.policies.engine import NormalStep
from muster.domains.control.policies.templates import policy_templates
from tests.control.rules_setting import judged, step
from tests.support.people import People
from tests.work.external_setting import Connect, agent_client, code, registered

anyio = pytest.mark.anyio

TRACES: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("template_traces.yaml").read_text()
)
CASES = [
    pytest.param(template.id, raw, id=f"{template.id}-{number}")
    for template in policy_templates().values()
    for number, raw in enumerate(template.policies)
]


def told(given: Any) -> NormalStep:
    text, fields = given if isinstance(given, list) else (given, {})
    fields = dict(fields)
    return step(text, fields.pop("step_name", None), **fields)


def is_violated(template_id: str, raw: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    policy = policy_templates()[template_id].read(raw)
    history = [told(item) for item in case.get("history", [])]
    if "repeat" in case:
        text, times = case["repeat"]
        history = [step(text)] * times
    subject = case["profile"] if "profile" in case else told(case["step"])
    return judged(policy, subject, history, **case.get("context", {})).violated


@pytest.mark.parametrize(("template_id", "raw"), CASES)
def test_a_policy_does_what_it_says(template_id: str, raw: dict[str, Any]) -> None:
    (cases,) = [
        cases for name, cases in TRACES[template_id].items() if re.match(rf"{name}\b", raw["name"])
    ]
    assert cases["violates"]
    assert cases["keeps"]
    assert all(is_violated(template_id, raw, case) for case in cases["violates"])
    assert not any(is_violated(template_id, raw, case) for case in cases["keeps"])


def test_every_policy_says_what_it_refers_to() -> None:
    for template in policy_templates().values():
        names = [raw["name"] for raw in template.policies]
        assert len(set(names)) == len(names) == len(TRACES[template.id])
        assert all(raw["reference"] for raw in template.policies)


@anyio
async def test_templates_are_listed(people: People) -> None:
    found = (await people.viewer.get("/policy-templates")).json()
    assert [template["id"] for template in found] == sorted(policy_templates())
    one = await people.viewer.get("/policy-templates/owasp_agentic_default")
    assert (one.json(), len(one.json()["policies"])) == (found[-2], 8)
    assert one.json()["policies"][0]["enforcement"] == "require_approval"
    answer = await people.viewer.get("/policy-templates/nothing")
    assert code(answer) == (404, "template_not_found")


@anyio
async def test_a_template_is_applied_once_and_takes_back_its_own(
    people: People, connect: Connect
) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    place = "/policy-templates/starter"
    first = await people.editor.post(f"{place}/apply")
    assert (first.status_code, first.json()["created"]) == (200, 3)
    again = await people.editor.post(f"{place}/apply", json={})
    assert (again.json()["created"], again.json()["policies"]) == (0, first.json()["policies"])
    own = await people.editor.post(f"{place}/apply", json={"agent_id": agent, "enabled": False})
    assert own.json()["created"] == 3
    assert {(p["agent_id"], p["enabled"]) for p in own.json()["policies"]} == {(agent, False)}
    other = await people.editor.post("/policy-templates/exfiltration_guard/apply")
    assert {p["source_template"] for p in other.json()["policies"]} == {"exfiltration_guard"}
    gone = other.json()["policies"][0]["id"]
    await people.editor.delete(f"/policies/{gone}")
    mended = await people.editor.post("/policy-templates/exfiltration_guard/apply")
    assert mended.json()["created"] == 1

    removed = await people.editor.post(f"{place}/remove", json={"agent_id": agent})
    assert removed.json() == {"template_id": "starter", "agent_id": agent, "removed": 3}
    assert (await people.editor.post(f"{place}/remove")).json()["removed"] == 3
    assert (await people.editor.post(f"{place}/remove")).json()["removed"] == 0
    left = (await people.viewer.get("/policies")).json()["items"]
    assert {policy["source_template"] for policy in left} == {"exfiltration_guard"}


@anyio
async def test_who_may_apply(people: People) -> None:
    answer = await people.operator.post("/policy-templates/starter/apply")
    assert answer.status_code == 403
    answer = await people.editor.post(
        "/policy-templates/starter/apply", json={"agent_id": "nobody"}
    )
    assert code(answer) == (422, "policy_invalid")
