"""Incidents: opened once, counted while they repeat, moved by people, told of by agents."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from muster.domains.control.incidents import Incident, Violation, report
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.platform.access import Caller
from tests.support.people import People
from tests.work.external_setting import code

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]
POLICY = "0198a6f2-7c1e-7d35-9c55-000000000001"


def violation(project_id: str, **given: Any) -> Violation:
    values = {
        "project_id": project_id,
        "policy_id": POLICY,
        "policy_name": "No raw e-mails",
        "rule_type": "pii_in_request",
        "severity": "high",
        "agent_id": "agent-1",
        "environment": "production",
        "task_id": "t-1",
        "step_name": "send",
        "step_kind": "step.message",
        "step_seq": 3,
        "action": "block",
        "details": {"found": 2},
    }
    return Violation(**{**values, **given})


async def broken(muster: Muster, *violations: Violation) -> list[Incident]:
    async with muster.database.write() as session:
        caller = Caller.system(violations[0].project_id)
        return await report(session, caller, violations)


async def open_one(muster: Muster, people: People, **given: Any) -> str:
    (incident,) = await broken(muster, violation(people.project_id, **given))
    return incident.id


async def shown(client: httpx2.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get("/incidents", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def read(client: httpx2.AsyncClient, incident_id: str) -> dict[str, Any]:
    answer = await client.get(f"/incidents/{incident_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """Return the events about incidents, oldest first."""
    answer = await client.get("/events", params={"limit": 200})
    events = reversed(answer.json()["items"])
    return [event for event in events if event["type"].startswith("incident.")]


async def moved(
    client: httpx2.AsyncClient, incident_id: str, verb: str, **body: str
) -> dict[str, Any]:
    answer = await client.post(f"/incidents/{incident_id}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_violation_opens_an_incident(muster: Muster, people: People) -> None:
    incident_id = await open_one(muster, people)
    incident = await read(people.viewer, incident_id)
    expected = {
        "status": "open",
        "severity": "high",
        "title": "Policy No raw e-mails was broken",
        "policy_id": POLICY,
        "agent_id": "agent-1",
        "environment": "production",
        "step_kind": "step.message",
        "step_seq": 3,
        "action": "block",
        "details": {"found": 2},
        "count": 1,
        "notes": None,
        "changed_at": None,
    }
    assert {name: incident[name] for name in expected} == expected
    assert incident["description"] == (
        "The step send of the task t-1 does not keep to the policy No raw e-mails, rule "
        "pii_in_request. It was blocked."
    )
    assert incident["first_occurrence"] == incident["last_occurrence"]
    (opening,) = incident["changes"]
    assert (opening["from"], opening["to"], opening["by_name"]) == (None, "open", "system")
    (event,) = await told(people.viewer)
    assert event["type"] == "incident.opened"
    assert event["data"]["policy_name"] == "No raw e-mails"
    assert "found" not in str(event["data"])


async def test_descriptions_say_what_is_known(muster: Muster, people: People) -> None:
    bare = {"step_name": None, "task_id": None, "rule_type": None, "action": "warn"}
    own_task = violation(people.project_id, **bare, policy_id="p1")
    registration = violation(people.project_id, **bare, policy_id="p2", step_kind=None)
    first, second = await broken(muster, own_task, registration)
    assert first.description == (
        "The step step.message does not keep to the policy No raw e-mails. It was let through with "
        "a warning."
    )
    assert second.description.startswith("An agent's registration does not keep to")


async def test_repeats_are_counted_and_show_the_last_time(muster: Muster, people: People) -> None:
    first = await open_one(muster, people)
    again = violation(
        people.project_id, severity="critical", details={"found": 7}, run_id="run-2", step_seq=9
    )
    assert {incident.id for incident in await broken(muster, again, again)} == {first}
    await moved(people.operator, first, "acknowledge")
    await broken(muster, again)
    incident = await read(people.viewer, first)
    assert (incident["status"], incident["count"], incident["details"]) == (
        "active",
        4,
        {"found": 7},
    )
    assert (incident["severity"], incident["execution_id"]) == ("critical", "run-2")
    assert incident["first_occurrence"] < incident["last_occurrence"]


async def test_other_policy_agent_or_project_is_another_incident(
    muster: Muster, people: People
) -> None:
    here, there = people.project_id, people.other_project_id
    found = await broken(
        muster,
        violation(here),
        violation(here, policy_id=None),
        violation(here, policy_id=None, policy_name="NO RAW E-MAILS"),
        violation(here, agent_id="agent-2"),
        violation(here, agent_id=None),
        violation(here, agent_id=None, run_id="another"),
    )
    ids = [incident.id for incident in found]
    assert ids[1] == ids[2]
    assert ids[4] == ids[5]
    assert len(set(ids)) == 4
    await broken(muster, violation(there))
    assert len(await shown(people.viewer)) == 4
    (theirs,) = await shown(people.outsider)
    assert theirs["id"] not in ids


async def test_a_violation_of_another_project_is_a_fault(muster: Muster, people: People) -> None:
    wrong = violation(people.other_project_id)
    with pytest.raises(ValueError, match="another project"):
        await broken(muster, violation(people.project_id), wrong)
    assert await shown(people.viewer) == []


async def test_fifty_at_once_are_one_incident(muster: Muster, people: People) -> None:
    found = await asyncio.gather(*(open_one(muster, people) for _ in range(50)))
    assert len(set(found)) == 1
    (incident,) = await shown(people.viewer)
    assert incident["count"] == 50
    types = [(event["type"], event["data"].get("count")) for event in await told(people.viewer)]
    assert types == [("incident.opened", None), ("incident.repeated", 10)]


async def test_a_batch_that_passes_a_power_of_ten_tells_once(
    muster: Muster, people: People
) -> None:
    await open_one(muster, people)
    await broken(muster, *[violation(people.project_id)] * 101)
    (repeated,) = [e for e in await told(people.viewer) if e["type"] == "incident.repeated"]
    assert repeated["data"]["count"] == 102


async def test_resolved_is_over_and_the_next_is_new(muster: Muster, people: People) -> None:
    first = await open_one(muster, people)
    done = await moved(people.operator, first, "resolve", note="The prompt was corrected.")
    assert (done["status"], done["notes"]) == ("resolved", "The prompt was corrected.")
    assert done["changed_by_name"] == "Operator"
    second = await open_one(muster, people)
    assert second != first
    assert (await read(people.viewer, first))["count"] == 1

    refused = await people.operator.post(f"/incidents/{first}/reactivate")
    assert code(refused) == (409, "incident_followed")
    await moved(people.operator, second, "resolve")
    back = await moved(people.operator, first, "reactivate", reason="It was not the prompt.")
    assert (back["status"], back["notes"]) == ("active", None)
    assert await open_one(muster, people) == first

    changes = (await read(people.viewer, first))["changes"]
    assert [(c["from"], c["to"], c["reason"]) for c in changes] == [
        (None, "open", None),
        ("open", "resolved", "The prompt was corrected."),
        ("resolved", "active", "It was not the prompt."),
    ]
    assert changes[1]["at"] <= changes[2]["at"]


async def test_ignored_is_counted_in_silence(muster: Muster, people: People) -> None:
    first = await open_one(muster, people)
    await moved(people.operator, first, "ignore", reason="A test agent.")
    await broken(muster, *[violation(people.project_id)] * 20)
    incident = await read(people.viewer, first)
    assert (incident["status"], incident["count"]) == ("ignored", 21)
    assert [event["type"] for event in await told(people.viewer)] == [
        "incident.opened",
        "incident.ignored",
    ]
    back = await moved(people.operator, first, "reactivate")
    assert (back["status"], back["count"]) == ("active", 21)


async def test_every_move_has_its_event_and_both_methods(muster: Muster, people: People) -> None:
    incident = await open_one(muster, people)
    for verb in ("acknowledge", "ignore", "resolve", "reactivate"):
        answer = await people.operator.put(f"/incidents/{incident}/{verb}", json={"reason": verb})
        assert answer.status_code == 200, answer.text
    events = await told(people.viewer)
    assert [(e["type"], e["data"].get("from_status"), e["data"].get("reason")) for e in events] == [
        ("incident.opened", None, None),
        ("incident.acknowledged", "open", "acknowledge"),
        ("incident.ignored", "active", "ignore"),
        ("incident.resolved", "ignored", "resolve"),
        ("incident.reactivated", "resolved", "reactivate"),
    ]


@pytest.mark.parametrize(
    ("before", "illegal", "allowed"),
    [
        ([], ["reactivate"], "acknowledge or resolve or ignore"),
        (["acknowledge"], ["acknowledge", "reactivate"], "resolve or ignore"),
        (["resolve"], ["acknowledge", "resolve", "ignore"], "reactivate"),
        (["ignore"], ["acknowledge", "ignore"], "resolve or reactivate"),
    ],
)
async def test_illegal_moves_say_what_is_allowed(
    muster: Muster, people: People, before: list[str], illegal: list[str], allowed: str
) -> None:
    incident = await open_one(muster, people)
    for verb in before:
        await moved(people.operator, incident, verb)
    for verb in illegal:
        refused = await people.operator.post(f"/incidents/{incident}/{verb}")
        assert code(refused) == (409, "incident_move_illegal")
        assert refused.json()["detail"].endswith(f"so {verb} is not possible; {allowed} is.")
    assert len((await read(people.viewer, incident))["changes"]) == 1 + len(before)


async def test_twenty_resolve_at_once_and_one_does(muster: Muster, people: People) -> None:
    incident = await open_one(muster, people)
    verbs = ["resolve", "ignore"] * 10
    answers = await asyncio.gather(
        *(people.operator.post(f"/incidents/{incident}/{verb}") for verb in verbs)
    )
    codes = [answer.status_code for answer in answers]
    changes = (await read(people.viewer, incident))["changes"]
    # What was ignored can be resolved still, so one or two are let through, never more.
    assert codes.count(200) == len(changes) - 1
    assert codes.count(200) in {1, 2}
    assert codes.count(200) + codes.count(409) == 20
    assert changes[-1]["to"] == "resolved"


async def test_filters(muster: Muster, people: People) -> None:
    here = people.project_id
    agent = (
        await people.editor.post("/agents", json={"name": "Mailer", "llm": "builtin/extractive"})
    ).json()
    a, b, c = (
        incident.id
        for incident in [
            *await broken(muster, violation(here, agent_id=agent["id"], run_id="run-1")),
            *await broken(
                muster,
                violation(here, policy_id="other", policy_name="50% rule", severity="low"),
            ),
            *await broken(
                muster,
                violation(here, agent_id="agent-3", environment="staging", task_id="t-9"),
            ),
        ]
    )
    await moved(people.operator, b, "resolve")
    await moved(people.operator, c, "acknowledge")
    at = {i["id"]: i["last_occurrence"] for i in await shown(people.viewer)}
    assert list(at) == [c, b, a]

    async def ids(**params: Any) -> set[str]:
        return {incident["id"] for incident in await shown(people.viewer, **params)}

    assert await ids(status="OPEN") == {a}
    assert await ids(status="open, Resolved") == {a, b}
    assert await ids(status="") == {a, b, c}
    assert await ids(severity="LOW,critical") == {b}
    assert await ids(agent_id="agent-3") == {c}
    assert await ids(agent_key=agent["key"]) == {a}
    assert await ids(agent_key="nobody") == set()
    assert await ids(policy_id=POLICY) == {a, c}
    assert await ids(environment="staging") == {c}
    assert await ids(run_id="run-1") == await ids(execution_id="run-1") == {a}
    assert await ids(task_id="t-9") == {c}
    assert await ids(search="50% RULE") == {b}
    assert await ids(**{"from": at[b]}) == {b, c}
    assert await ids(to=at[b]) == {a}
    assert await ids(to=clock.iso(clock.now() - timedelta(days=1))) == set()
    for name in ("status", "severity"):
        refused = await people.viewer.get("/incidents", params={name: "fixed"})
        assert refused.status_code == 422
        assert "Take of" in refused.text

    first = (await people.viewer.get("/incidents", params={"limit": 2})).json()
    assert (first["total"], [i["id"] for i in first["items"]]) == (3, [c, b])
    assert await ids(limit=2, cursor=first["next_cursor"]) == {a}

    summary = (await people.viewer.get("/incidents/summary")).json()
    assert summary == {"open": 1, "active": 1, "resolved": 1, "ignored": 0, "total": 3}
    some = await people.viewer.get("/incidents/summary", params={"severity": "low"})
    assert (some.json()["resolved"], some.json()["total"]) == (1, 1)


async def test_outsiders_see_and_move_nothing(muster: Muster, people: People) -> None:
    incident = await open_one(muster, people)
    assert await shown(people.outsider) == []
    assert (await people.outsider.get("/incidents/summary")).json()["total"] == 0
    answer = await people.outsider.get(f"/incidents/{incident}")
    assert code(answer) == (404, "incident_not_found")
    for verb in ("acknowledge", "resolve", "ignore", "reactivate"):
        answer = await people.outsider.post(f"/incidents/{incident}/{verb}")
        assert code(answer) == (404, "incident_not_found")
        assert (await people.viewer.put(f"/incidents/{incident}/{verb}")).status_code == 403
    assert (await read(people.viewer, incident))["status"] == "open"
