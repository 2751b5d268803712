"""Policies through the API: their life, strict reading, and what agent keys get."""

from typing import Any

import pytest

from muster.domains.control.policies.models import Policy
from muster.entrypoints.assembly import Muster
from tests.support.people import People
from tests.work.external_setting import Connect, agent_client, code, registered

pytestmark = pytest.mark.anyio

PURPOSE = {
    "name": "Says why",
    "rule_type": "field_not_empty",
    "params": {"field": "purpose"},
    "severity": "high",
    "scope": "agent_registration",
}


async def made(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.editor.post("/policies", json={**PURPOSE, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def names(people: People, **params: Any) -> list[str]:
    answer = await people.viewer.get("/policies", params=params)
    assert answer.status_code == 200, answer.text
    return [policy["name"] for policy in answer.json()["items"]]


async def event_types(people: People) -> list[str]:
    events = (await people.viewer.get("/events", params={"limit": 200})).json()["items"]
    return sorted(e["type"] for e in events if e["type"].startswith("policy."))


async def test_the_life_of_a_policy(people: People) -> None:
    policy = await made(people, description="Nobody guesses.", environment="production")
    assert policy["environments"] == ["production"]
    assert (policy["version"], policy["enabled"], policy["schema"]) == (1, True, "2")
    assert policy["enforcement_point"] == policy["scope"] == "agent_registration"
    place = f"/policies/{policy['id']}"
    assert (await people.viewer.get(place)).json() == policy

    changed = await people.owner.put(place, json={"severity": "critical", "environments": None})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["severity"], changed.json()["environments"]) == ("critical", None)
    same = await people.editor.patch(place, json={"severity": "critical"})
    assert same.json()["version"] == 2
    off = await people.editor.post(f"{place}/disable")
    assert (off.json()["enabled"], off.json()["version"]) == (False, 3)
    assert (await people.editor.post(f"{place}/disable")).json()["version"] == 3
    assert (await people.editor.post(f"{place}/enable")).json()["enabled"] is True
    assert (await people.editor.patch(place, json={"enabled": False})).json()["version"] == 5

    versions = (await people.viewer.get(f"{place}/versions")).json()
    assert [v["version"] for v in versions["items"]] == [5, 4, 3, 2, 1]
    assert versions["items"][-1]["policy"]["environments"] == ["production"]
    assert (await people.editor.delete(place)).status_code == 204
    for answer in (
        await people.viewer.get(place),
        await people.editor.patch(place, json={"name": "Other"}),
        await people.editor.delete(place),
    ):
        assert code(answer) == (404, "policy_not_found")
    assert await event_types(people) == [
        "policy.created",
        "policy.deleted",
        "policy.disabled",
        "policy.disabled",
        "policy.enabled",
        "policy.updated",
    ]


async def test_filters(people: People) -> None:
    await made(people)
    await made(people, name="Careful", severity="low", enabled=False, description="With owners")
    step = {
        "name": "Once",
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.exec", "max_steps": 1},
        "scope": None,
        "enforcement_point": "step_execution",
    }
    del step["scope"]
    body = {k: v for k, v in PURPOSE.items() if k != "scope"} | step
    assert (await people.editor.post("/policies", json=body)).status_code == 201
    assert await names(people) == ["Once", "Careful", "Says why"]
    assert await names(people, enabled="false") == ["Careful"]
    assert await names(people, severity="low") == ["Careful"]
    assert await names(people, scope="step_execution") == ["Once"]
    assert await names(people, rule_type="field_not_empty") == ["Careful", "Says why"]
    assert await names(people, search="owners") == ["Careful"]
    assert await names(people, limit=1000, skip=2) == ["Says why"]
    assert await names(people, agent_id="nobody") == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"rule_type": "nothing"}, "rule_type"),
        ({"severity": "severe"}, "severity"),
        ({"params": {}}, "params.field"),
        ({"params": {"field": "purpose", "feild": 1}}, "params.feild"),
        ({"scope": "task_execution"}, "rule_type"),
        ({"environment": "moon"}, "environments"),
        ({"schema": "4"}, "schema"),
        ({"agent_id": "nobody"}, "agent_id"),
        ({"enforcement": "shout"}, "enforcement"),
    ],
)
async def test_what_cannot_be_judged_is_refused(
    people: People, fields: dict[str, Any], place: str
) -> None:
    answer = await people.editor.post("/policies", json={**PURPOSE, **fields})
    assert code(answer) == (422, "policy_invalid")
    assert place in [error["field"] for error in answer.json()["errors"]]
    known = await made(people)
    answer = await people.editor.patch(f"/policies/{known['id']}", json=fields)
    assert code(answer) == (422, "policy_invalid")


async def test_the_third_generation_keeps_its_spelling(people: People) -> None:
    policy = await made(
        people,
        rule_type="execution_max_steps",
        params={"kind": "step.exec", "max_steps": 2},
        scope="step_execution",
        schema="3",
    )
    assert policy["schema"] == "3"
    assert "step_type" not in policy["params"]
    changed = await people.editor.patch(
        f"/policies/{policy['id']}", json={"name": "Twice", "schema": 2}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["params"]["step_type"] == "step.exec"


async def test_who_may(people: People) -> None:
    policy = await made(people)
    place = f"/policies/{policy['id']}"
    assert (await people.operator.post("/policies", json=PURPOSE)).status_code == 403
    assert (await people.operator.delete(place)).status_code == 403
    assert (await people.outsider.get(place)).status_code == 404
    assert (await people.outsider.get("/policies")).json()["items"] == []


async def test_the_catalogue_of_rules(people: People) -> None:
    rules = {rule["name"]: rule for rule in (await people.viewer.get("/policies/rules")).json()}
    assert len(rules) >= 26
    rule = rules["field_not_empty"]
    assert rule["rule_type"] == "field_not_empty"
    assert "agent_registration" in rule["scopes"]
    assert rule["params_schema"]["required"] == ["field"]
    assert rule["params_schema"]["properties"]["field"]["type"] == "string"
    assert rule["params_schema"]["additionalProperties"] is False


async def test_agent_keys_get_what_binds_their_agents(people: People, connect: Connect) -> None:
    mine = await agent_client(people.editor, connect)
    other = await agent_client(people.owner, connect)
    agent = await registered(mine, environment="staging", risk_classification="high")
    theirs = await registered(other, key="another")
    every = await made(people, name="Every")
    own = await made(people, name="Own", agent_id=agent)
    await made(people, name="Off", enabled=False)
    await made(people, name="Elsewhere", environment="production")
    await made(people, name="Harmless", risk_classification="minimal")
    foreign = await made(people, name="Foreign", agent_id=theirs)

    params = {
        "agent_key": "invoices",
        "enabled": "true",
        "limit": 1000,
        "skip": 0,
        "instance": "i-1",
    }
    answer = await mine.get("/policies", params=params)
    assert answer.status_code == 200, answer.text
    assert [policy["name"] for policy in answer.json()] == ["Own", "Every"]
    assert (await mine.get("/policies", params={**params, "skip": 1})).json() == [every]
    answer = await mine.get("/policies", params={**params, "agent_key": "another"})
    assert code(answer) == (404, "agent_not_found")
    assert (await mine.get("/policies")).status_code == 422
    assert (await mine.get(f"/policies/{own['id']}")).status_code == 200
    assert (await mine.get(f"/policies/{foreign['id']}")).status_code == 404
    assert (await mine.post("/policies", json=PURPOSE)).status_code == 403
    assert await names(people, agent_key="invoices") == ["Off", "Own", "Every"]


MANIFEST = """# SPDX-License-Identifier: Apache-2.0
name: house-rules
version: "1.0"
policies:
  - name: Says why
    rule_type: field_not_empty
    params: {field: purpose}
    severity: high
    scope: agent_registration
  - name: Once
    schema: "3"
    rule_type: execution_max_steps
    params: {kind: step.exec, max_steps: 1}
    severity: critical
    enforcement_point: step_execution
"""


async def test_a_manifest_comes_in_and_goes_out(people: People) -> None:
    tried = await people.editor.post("/policies/import", json=_file(MANIFEST, dry_run=True))
    assert tried.status_code == 201, tried.text
    assert [p["policy_id"] for p in tried.json()["policies"]] == [None, None]
    assert await names(people) == []
    taken = await people.editor.post("/policies/import", json=_file(MANIFEST))
    assert [p["name"] for p in taken.json()["policies"]] == ["Says why", "Once"]
    kept = await people.viewer.get(f"/policies/{taken.json()['policies'][1]['policy_id']}")
    assert (kept.json()["manifest_name"], kept.json()["manifest_version"]) == ("house-rules", "1.0")
    again = await people.editor.post("/policies/import", json=_file(MANIFEST))
    assert code(again) == (409, "manifest_imported")
    again = await people.editor.post("/policies/import", json=_file(MANIFEST, replace=True))
    assert (again.json()["replaced"], len(await names(people))) == (2, 2)

    for schema, spelling in (("2", "step_type: step.exec"), ("3", "kind: step.exec")):
        text = (await people.viewer.get("/policies/export", params={"schema": schema})).text
        assert spelling in text
        renamed = text.replace("muster-export", f"copy-{schema}")
        answer = await people.editor.post("/policies/import", json=_file(renamed))
        assert answer.status_code == 201, answer.text
    assert len(await names(people)) == 8


async def test_a_manifest_with_one_fault_makes_nothing(people: People) -> None:
    for text, field, line in (
        (MANIFEST.replace("critical", "severe"), "policies[1].severity", "(line 14)"),
        (MANIFEST.replace("house-rules", "h" * 256), "name", "255"),
        (MANIFEST.replace("name: Once", 'name: "a\\0"'), "manifest", "NUL"),
        (MANIFEST.replace("purpose", '"a\\0"'), "manifest", "NUL"),
        ("{", "manifest", "line"),
    ):
        answer = await people.editor.post("/policies/import", json=_file(text))
        assert code(answer) == (422, "policy_invalid")
        (error,) = answer.json()["errors"]
        assert error["field"] == field
        assert line in error["message"]
    foreign = MANIFEST + "    agent_id: nobody\n"
    for dry_run in (True, False):
        answer = await people.editor.post("/policies/import", json=_file(foreign, dry_run=dry_run))
        assert code(answer) == (422, "policy_invalid")
    assert await names(people) == []
    assert code(await people.viewer.get("/policies/export")) == (404, "nothing_to_export")


async def test_a_policy_of_another_release_can_be_seen_and_removed(
    people: People, muster: Muster, connect: Connect
) -> None:
    key = await agent_client(people.editor, connect)
    await registered(key)
    async with muster.database.write() as session:
        fields = {**PURPOSE, "rule_type": "unheard_of", "version": 1}
        session.add(Policy(project_id=people.project_id, **fields))
    (policy,) = (await key.get("/policies", params={"agent_key": "invoices"})).json()
    assert policy["params"] == PURPOSE["params"]
    assert code(await people.viewer.get("/policies/export")) == (409, "policy_unreadable")
    assert (await people.editor.delete(f"/policies/{policy['id']}")).status_code == 204


def _file(text: str, **fields: Any) -> dict[str, Any]:
    return {"manifest": text, **fields}
