"""Asking what policies would say: by given ones, and by stored ones and the live record."""

from typing import Any

import httpx2
import pytest

from muster.domains.control.policies import CompiledPolicies, Memories
from muster.domains.control.policies.models import Policy
from muster.domains.work.logs import LogAgent
from muster.domains.work.logs.translation import read_step
from muster.domains.work.oversight import JournalHistory, PolicyObserver
from muster.entrypoints.assembly import Muster
from tests.support.people import People
from tests.work.external_setting import Connect, agent_client, code, logged, registered

pytestmark = pytest.mark.anyio

MOST = {
    "name": "Two at most",
    "rule_type": "execution_max_steps",
    "params": {"step_type": "step.resource", "max_steps": 2},
    "severity": "critical",
    "scope": "step_execution",
}
READ = {"kind": "step.resource", "verb": "GET", "step_name": "read"}
END = {
    "name": "Tells its end",
    "rule_type": "history_contains",
    "params": {"step_type": "step.gate"},
    "severity": "medium",
    "scope": "task_execution",
}


async def asked(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/gate/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stored(people: People, **fields: Any) -> None:
    answer = await people.editor.post("/policies", json={**MOST, **fields})
    assert answer.status_code == 201, answer.text


async def test_given_policies_judge_without_the_record(people: People) -> None:
    body = {"agent": "anyone", "policies": [MOST], "step": READ}
    assert (await asked(people.editor, **body))["action"] == "allow"
    verdict = await asked(people.admin, **body, history=[READ, {"node_type": "TOOL_CALL"}])
    assert (verdict["action"], verdict["risk_score"]) == ("block", 1.0)
    (said,) = verdict["policies"]
    assert (said["policy_id"], said["name"], said["violated"]) == ("0", "Two at most", True)
    assert said["violation_details"]["message"]
    ending = {"policies": [END], "step": None, "scope": "task_execution"}
    assert (await asked(people.owner, **ending))["action"] == "warn"
    closed = await asked(people.owner, policies=[END], step={"kind": "task.end"})
    assert [p["violated"] for p in closed["policies"]] == [True]


async def test_the_moment_is_that_of_the_context(people: People) -> None:
    hours = {
        **MOST,
        "rule_type": "working_hours_only",
        "params": {"start_hour": 9, "end_hour": 17},
    }
    for now, action in (
        ("2026-03-04T10:00:00Z", "allow"),
        ("2026-03-04T20:00:00", "block"),
    ):
        verdict = await asked(people.editor, policies=[hours], step=READ, context={"now": now})
        assert verdict["action"] == action


async def test_a_given_profile(people: People) -> None:
    purpose = {
        **MOST,
        "rule_type": "field_not_empty",
        "params": {"field": "purpose"},
        "scope": "agent_registration",
    }
    body = {"policies": [purpose], "scope": "agent_registration"}
    assert (await asked(people.editor, **body, agent={"purpose": "Reads"}))["action"] == "allow"
    assert (await asked(people.editor, **body, agent={"name": "X"}))["action"] == "block"
    answer = await people.editor.post("/gate/evaluate", json={**body, "agent": "X"})
    assert answer.json()["errors"][0]["field"] == "agent"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"policies": [MOST], "step": {"kind": "step.nothing"}}, "step.kind"),
        ({"policies": [MOST], "step": READ, "history": [READ, {}]}, "history.1.kind"),
        ({"policies": [{**MOST, "params": {}}], "step": READ}, "policies.0.params.step_type"),
        ({"policies": [MOST]}, "step"),
        ({"agent": "x", "step": READ, "history": []}, "history"),
        ({"agent": "x", "step": READ, "scope": "agent_registration"}, "step"),
        ({"step": READ}, "agent"),
        ({"step": READ, "context": {"now": "0001-01-01T00:00:00+14:00"}}, "context.now"),
    ],
)
async def test_what_cannot_be_judged_is_named(
    people: People, body: dict[str, Any], field: str
) -> None:
    answer = await people.editor.post("/gate/evaluate", json=body)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_who_may_try(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    for client in (people.viewer, people.operator, key):
        answer = await client.post("/gate/evaluate", json={"policies": [MOST], "step": READ})
        assert code(answer) == (403, "policy_trial_refused")


async def test_the_live_record_judges(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    body = {"agent": "invoices", "step": READ, "context": {"task_id": "t-1"}}
    nothing = {"action": "allow", "risk_score": 0.0, "policies": [], "budgets": []}
    assert await asked(key, **body) == nothing
    await stored(people)
    await stored(people, **END)
    assert (await asked(key, **body))["action"] == "allow"
    first = await logged(key, agent)
    assert (first["incidents"], (await asked(key, **body))["action"]) == ([], "allow")
    await logged(key, agent)
    for _ in range(2):
        assert (await asked(key, **body))["action"] == "block"
    assert (await asked(people.viewer, **{**body, "agent": agent}))["action"] == "block"
    other = {**body, "context": {"task_id": "t-2"}}
    assert (await asked(key, **other))["action"] == "allow"
    task = {"agent": agent, "scope": "task_execution", "context": {"task_id": "t-1"}}
    assert (await asked(key, **task))["action"] == "warn"
    ended = {**body, "step": {"kind": "task.end"}}
    names = [p["name"] for p in (await asked(key, **ended))["policies"]]
    assert names == ["Two at most", "Tells its end"]
    run = (await people.viewer.get("/incidents")).json()
    assert run["items"] == []


async def test_the_stored_profile(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(
        people,
        rule_type="field_not_empty",
        params={"field": "purpose"},
        scope="agent_registration",
    )
    body = {"agent": agent, "scope": "agent_registration"}
    assert (await asked(key, **body))["action"] == "block"
    await registered(key, purpose="Reads invoices")
    assert (await asked(key, **body))["action"] == "allow"


async def test_rate_limits_count_all_tasks(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(
        people,
        rule_type="cross_execution_rate_limit",
        params={"step_type": "step.resource", "max_count": 2, "window_minutes": 60},
    )
    await stored(
        people,
        name="Few letters",
        rule_type="cross_execution_rate_limit",
        params={
            "step_type": "step.resource",
            "max_count": 1,
            "window_minutes": 60,
            "property_filter": {"via": "post"},
        },
    )
    assert (await logged(key, agent, task_id="a"))["incidents"] == []
    body = {"agent": agent, "step": {**READ, "properties": {"via": "post"}}}
    assert (await asked(key, **body))["action"] == "allow"
    assert (await logged(key, agent, task_id="b", properties={"via": "post"}))["incidents"] == []
    verdict = await asked(key, **body)
    assert [p["violated"] for p in verdict["policies"]] == [True, True]
    told = (await logged(key, agent, task_id="c"))["incidents"]
    assert [incident["policy_name"] for incident in told] == ["Two at most"]


async def test_agents_of_others_are_not_judged(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    other = await agent_client(people.owner, connect)
    agent = await registered(key)
    answer = await other.post("/gate/evaluate", json={"agent": agent, "step": READ})
    assert code(answer) == (404, "agent_not_found")
    answer = await people.outsider.post("/gate/evaluate", json={"agent": agent, "step": READ})
    assert code(answer) == (404, "agent_not_found")


async def test_a_policy_of_another_release_stops_all(
    people: People, connect: Connect, muster: Muster
) -> None:
    async with muster.database.write() as session:
        fields = {**MOST, "rule_type": "unheard_of", "version": 1}
        session.add(Policy(project_id=people.project_id, **fields))
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    answer = await key.post("/gate/evaluate", json={"agent": agent, "step": READ})
    assert code(answer) == (409, "policy_unreadable")
    period = {"since": "2020-01-01T00:00:00"}
    answer = await people.editor.post("/policies/dry-run", json=period)
    assert code(answer) == (409, "policy_unreadable")
    assert (await logged(key, agent))["incidents"] == []


async def test_a_deactivated_agent_is_told_so(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    assert (await people.editor.delete(f"/agents/{agent}")).status_code == 204
    for reference in (agent, "invoices"):
        answer = await key.post("/gate/evaluate", json={"agent": reference, "step": READ})
        assert code(answer) == (409, "agent_inactive")
    assert code(await key.get("/policies", params={"agent_key": "invoices"})) == (
        409,
        "agent_inactive",
    )
    assert (await people.editor.post(f"/agents/{agent}/activate")).status_code == 200
    answer = await key.post("/gate/evaluate", json={"agent": agent, "step": READ})
    assert answer.status_code == 200


async def test_what_is_logged_is_observed(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(people)
    await stored(people, **END)
    steps = [{**READ, "kind": "step.resource"} for _ in range(3)]
    body = {"agent_id": agent, "task_id": "t-9", "steps": [*steps, {"kind": "task.end"}]}
    answer = await key.post("/logs/batch", json=body)
    assert answer.status_code == 201, answer.text
    told = answer.json()["incidents"]
    assert [(i["policy_name"], i["seq"]) for i in told] == [
        ("Two at most", answer.json()["first_seq"] + 2),
        ("Tells its end", answer.json()["last_seq"]),
    ]
    incidents = (await people.viewer.get("/incidents")).json()["items"]
    assert {i["task_id"] for i in incidents} == {"t-9"}
    assert {i["id"] for i in incidents} == {i["incident_id"] for i in told}


async def test_steps_of_one_request_are_observed_once(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(people)
    body = {"agent_id": agent, "task_id": "t-1", **READ}
    told = []
    for number in (1, 2, 3, 3):
        headers = {"Idempotency-Key": f"k-{number}"}
        answer = await key.post("/logs", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        told.append(len(answer.json()["incidents"]))
    assert told == [0, 0, 1, 1]
    (incident,) = (await people.viewer.get("/incidents")).json()["items"]
    assert incident["count"] == 1


async def test_gates_of_the_first_generation_open_what_they_opened(
    people: People, connect: Connect
) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(
        people,
        rule_type="step_requires_gate",
        params={
            "target_step_types": ["step.resource"],
            "gate_check_type": "human_approval",
            "gate_result": "pass",
        },
    )
    node = {"agent_id": agent, "task_id": "t-1", "node_type": "HUMAN_APPROVAL", "node_name": "Ask"}
    body = {"agent": agent, "step": READ, "context": {"task_id": "t-1"}}
    sent = {**node, "output_data": {"approved": True}, "properties": {"sent": "by post"}}
    assert (await key.post("/logs", json=sent)).status_code == 201
    assert (await asked(key, **body))["action"] == "allow"
    # For other policies the past is told again, from the journal.
    await stored(people, **END)
    assert (await asked(key, **body))["action"] == "allow"


async def test_steps_that_were_looked_at_before_are_observed_all_the_same(
    people: People, connect: Connect, muster: Muster
) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    await stored(people)
    first = [await logged(key, agent) for _ in range(3)][-1]
    task = {"agent": agent, "step": READ, "context": {"task_id": "t-1"}}
    assert (await asked(key, **task))["action"] == "block"
    # As if the process had been asked about the task before it came to observe the last step.
    observer = PolicyObserver(muster.database, *_parts(muster))
    who = LogAgent(
        id=agent,
        project_id=people.project_id,
        key="invoices",
        name="Invoices",
        environment="development",
        version=1,
    )
    step = read_step({**READ, "task_id": "t-1"}, agent)
    late = [(first["last_seq"] + 1, step)]
    logs = (await people.viewer.get("/logs/tasks/t-1")).json()["items"]
    run_id = logs[0]["execution_id"]
    async with muster.database.write() as session:
        (told,) = await observer.observe(who, run_id, "t-1", late, session)
    assert told["policy_name"] == "Two at most"


def _parts(muster: Muster) -> tuple[CompiledPolicies, Memories]:
    history = JournalHistory(muster.database, muster.running.parts.blobs)
    return CompiledPolicies(muster.database, muster.live), Memories(history)


async def test_stored_runs_are_judged_again(people: People, connect: Connect) -> None:
    key = await agent_client(people.editor, connect)
    agent = await registered(key)
    for task in ("a", "b"):
        for _ in range(3):
            await logged(key, agent, task_id=task)
    await logged(key, agent, task_id="b", status="blocked")
    period = {"since": "2020-01-01T00:00:00Z"}

    async def judged(**body: Any) -> dict[str, Any]:
        answer = await people.editor.post("/policies/dry-run", json={**period, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    empty = await judged()
    assert (empty["runs"], empty["steps"], empty["findings"]) == (2, 6, [])
    rate = {
        **MOST,
        "name": "Rarely",
        "rule_type": "cross_execution_rate_limit",
        "params": {"step_type": "step.resource", "max_count": 2, "window_minutes": 60},
    }
    tried = await judged(policies=[MOST, rate])
    assert (tried["blocked"], tried["skipped"], tried["has_more"]) == (2, ["Rarely"], False)
    (one, other) = tried["findings"]
    assert one["execution_id"] != other["execution_id"]
    assert (one["action"], one["policy_name"], one["agent_id"]) == ("block", "Two at most", agent)
    await stored(people)
    assert (await judged(limit=1))["has_more"] is True
    assert (await judged(limit=1))["blocked"] == 1
    assert (await judged(agent_id="nobody"))["runs"] == 0
    assert (await judged(until="2020-01-02T00:00:00Z"))["runs"] == 0
    named = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    answer = await people.editor.post("/policies/dry-run", json=named)
    assert (answer.status_code, answer.json()["runs"]) == (200, 0)
    backwards = {"since": "2020-01-02T00:00:00Z", "until": "2020-01-01T00:00:00Z"}
    answer = await people.editor.post("/policies/dry-run", json=backwards)
    assert code(answer) == (422, "validation_error")
    assert (await people.viewer.get("/incidents")).json()["items"] == []
    answer = await people.viewer.post("/policies/dry-run", json=period)
    assert answer.status_code == 403


# -- registrations ---------------------------------------------------------------------------------


async def test_a_registration_is_judged_and_kept(people: People, connect: Connect) -> None:
    policy = {
        "name": "A purpose is told",
        "rule_type": "field_not_empty",
        "params": {"field": "purpose"},
        "severity": "high",
        "scope": "agent_registration",
    }
    made = await people.editor.post("/policies", json=policy)
    assert made.status_code == 201, made.text
    key = await agent_client(people.editor, connect)
    body = {"agent_key": "judged", "name": "Judged", "environment": "production"}
    for number, status in ((1, 201), (2, 200)):
        answer = await key.post("/agents", json=body)
        assert answer.status_code == status, answer.text
        (told,) = answer.json()["incidents"]
        assert (told["policy_name"], told["severity"]) == ("A purpose is told", "high")
        assert told["message"]
        found = (await people.viewer.get(f"/incidents/{told['incident_id']}")).json()
        assert (found["count"], found["environment"]) == (number, "production")
        assert found["agent_id"] == answer.json()["agent_id"]
    told_now = await key.post("/agents", json={**body, "purpose": "Reads invoices"})
    assert (told_now.status_code, told_now.json()["incidents"]) == (200, [])
    # Agents that people make are not registrations.
    own = await people.editor.post("/agents", json={"name": "Own"})
    assert own.json()["incidents"] == []
