"""A project in which a lot has happened, and small moves that the tests of reports share."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.approvals import Approval
from muster.domains.control.incidents import Incident, Violation
from muster.domains.control.incidents import report as report_violations
from muster.domains.work.journal import NewStep, Run, StepKind, StepStatus
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.platform.access import Caller
from tests.support.journal_rows import add_run
from tests.support.people import People

_PATIENCE_S = 60
HOSTILE = '#panic("x") $1+1$ *bold* _it_ @ref <tag> & [#read("/etc/passwd")] \\ `raw` // /*'
UNICODE = "Zażółć gęślą jaźń, Ελληνικά, кириллица"


@dataclass(frozen=True, slots=True)
class World:
    """What was made: agents by name, the period that all of it is in, policies by name."""

    agents: dict[str, str]
    begin: datetime
    end: datetime
    policies: dict[str, str]

    @property
    def period(self) -> dict[str, str]:
        return {"from": clock.iso(self.begin), "to": clock.iso(self.end)}


async def ask(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/reports", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def until(client: httpx2.AsyncClient, report_id: str, *statuses: str) -> dict[str, Any]:
    """Return the report as soon as it has one of the statuses (any final one by default)."""
    wanted = set(statuses) or {"completed", "failed"}
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        report = (await client.get(f"/reports/{report_id}")).json()
        if report["status"] in wanted:
            return report
        assert time.monotonic() < deadline, report
        await asyncio.sleep(0.05)


async def download(client: httpx2.AsyncClient, report_id: str) -> httpx2.Response:
    answer = await client.get(f"/reports/{report_id}/download")
    assert answer.status_code == 200, answer.text
    return answer


async def made(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    """Ask for a report, wait for it, and return its file."""
    report = await until(client, (await ask(client, **body))["id"])
    assert report["status"] == "completed", report
    return await download(client, report["id"])


async def add_steps(
    muster: Muster, project_id: str, steps: Sequence[NewStep], **values: Any
) -> str:
    """Add a run with steps, chained as the platform chains them."""
    async with muster.database.write() as session:
        status = values.pop("status", "completed")
        run_id = await add_run(session, project_id, **values)
    await muster.running.parts.writer.append(run_id, 0, steps)
    async with muster.database.write() as session:
        await session.execute(update(Run).where(Run.id == run_id).values(status=status))
    return run_id


def call(key: str, at: datetime, **values: Any) -> NewStep:
    """Return a call of a model."""
    fields: dict[str, Any] = {
        "key": key,
        "kind": StepKind.MODEL,
        "name": "gpt-large",
        "started_at": at - timedelta(seconds=1),
        "ended_at": at,
        "input": {"messages": ["Go"]},
        "output": {"text": "Done"},
        "properties": {"provider": "openai"},
        "decision": {"action": "allow", "wait_s": 0.0, "findings": []},
        "input_tokens": 200,
        "output_tokens": 50,
        "cached_tokens": 20,
        "reasoning_tokens": 10,
        "cost": 0.0125,
    }
    return NewStep(**{**fields, **values})


def refused(policy_id: str, policy: str, action: str = "block") -> dict[str, Any]:
    """Return a decision of the gate that a policy made."""
    details = {
        "policies": [
            {
                "policy_id": policy_id,
                "name": policy,
                "rule_type": "execution_max_steps",
                "severity": "critical",
                "violated": True,
                "violation_details": None,
            }
        ]
    }
    finding = {
        "check": "policy",
        "action": action,
        "code": "policy_violation",
        "message": "Refused.",
        "details": details,
    }
    return {"action": action, "wait_s": 0.0, "findings": [finding]}


async def violate(
    session: AsyncSession, project_id: str, agent_id: str, policy: str, **values: Any
) -> Incident:
    """Report a violation; returns its incident."""
    fields: dict[str, Any] = {
        "project_id": project_id,
        "policy_id": None,
        "policy_name": policy,
        "rule_type": "execution_max_steps",
        "severity": "high",
        "agent_id": agent_id,
        "environment": "development",
        "action": "block",
        "details": {},
    }
    caller = Caller.system(project_id)
    (incident,) = await report_violations(session, caller, [Violation(**{**fields, **values})])
    return incident


async def eventful(muster: Muster, people: People, *, runs: int = 30) -> World:
    """Fill the project of the people; all of it lies within the last twenty days."""
    now = clock.now()
    begin, end = now - timedelta(days=20), now + timedelta(hours=1)
    agents: dict[str, str] = {}
    for name, fields in {
        "Document analyst": {"risk_classification": "limited", "environment": "production"},
        HOSTILE: {"risk_classification": "high", "owner_id": "ops-team@example.org"},
        UNICODE: {"environment": "staging"},
        "A-very-long-name-without-any-space-" + "x" * 200: {"purpose": "To be long"},
    }.items():
        body = {"name": name, "llm": "builtin/extractive", **fields}
        answer = await people.editor.post("/agents", json=body)
        assert answer.status_code == 201, answer.text
        agents[name] = answer.json()["id"]
    applied = await people.editor.post("/policy-templates/owasp_agentic_default/apply", json={})
    assert applied.status_code in {200, 201}, applied.text
    policies = {policy["name"]: policy["id"] for policy in applied.json()["policies"]}
    ids = list(agents.values())
    limit = "ASI08: Models are not called without end"
    for number in range(runs):
        at = begin + timedelta(hours=1) + (end - begin) * (number / runs) * 0.9
        agent = ids[number * number % len(ids)]
        provider, model, cost = [
            ("openai", "gpt-large", 0.0125),
            ("anthropic", "sonnet", 0.031),
            ("own", "local-model", None),
        ][number % 3]
        steps = [
            call("m1", at, name=model, properties={"provider": provider}, cost=cost),
            NewStep(
                key="t1.0",
                kind=StepKind.RESOURCE,
                name="http_fetch",
                verb="GET",
                started_at=at,
                ended_at=at + timedelta(seconds=2),
                status=StepStatus.BLOCKED if number % 7 == 0 else StepStatus.OK,
                decision=refused(policies[limit], limit)
                if number % 7 == 0
                else refused(policies[limit], limit, "warn")
                if number % 5 == 0
                else {"action": "allow", "wait_s": 0.0, "findings": []},
            ),
            call("m2", at + timedelta(seconds=5), name=model, properties={"provider": provider}),
        ]
        await add_steps(
            muster,
            people.project_id,
            [
                NewStep(
                    key=step.key,
                    **{
                        name: getattr(step, name)
                        for name in NewStep.__slots__
                        if name not in {"key", "agent_id"}
                    },
                    agent_id=agent,
                )
                for step in steps
            ],
            agent_id=agent,
            name=f"Run {number}",
            created_at=at,
            status=["completed", "completed", "failed", "cancelled"][number % 4],
        )
    await _incidents(muster, people, ids, policies[limit], limit, begin)
    await _approvals(muster, people, ids, begin)
    return World(agents, begin, end, policies)


async def _incidents(
    muster: Muster, people: People, ids: list[str], limit_id: str, limit: str, begin: datetime
) -> None:
    found: list[str] = []
    async with muster.database.write() as session:
        for place, agent in enumerate(ids):
            for severity, name, policy in (
                ("critical", limit, limit_id),
                ("high", "No personal data leaves the house", None),
                ("medium", HOSTILE, None),
                ("low", UNICODE, None),
            ):
                for repeat in range(place + 1):
                    incident = await violate(
                        session,
                        people.project_id,
                        agent,
                        name,
                        severity=severity,
                        policy_id=policy,
                        environment="production",
                    )
                    if repeat == 0:
                        found.append(incident.id)
    async with muster.database.write() as session:
        for place, incident_id in enumerate(found):
            at = begin + timedelta(days=1 + place)
            await session.execute(
                update(Incident)
                .where(Incident.id == incident_id)
                .values(first_occurrence=at, last_occurrence=at + timedelta(hours=5))
            )
    for place, incident_id in enumerate(found):
        for move, body in (
            ("acknowledge", {}),
            ("resolve", {"reason": "The prompt was changed; a second look is planned. " * 3}),
            ("reactivate", {"reason": HOSTILE}),
        )[: place % 4]:
            answer = await people.operator.put(f"/incidents/{incident_id}/{move}", json=body)
            assert answer.status_code == 200, answer.text
        if place % 8 == 4:
            answer = await people.operator.put(f"/incidents/{incident_id}/ignore", json={})
            assert answer.status_code == 200, answer.text


async def _approvals(muster: Muster, people: People, ids: list[str], begin: datetime) -> None:
    for number in range(6):
        body = {"title": f"Refund order {1040 + number}? {HOSTILE}", "agent_id": ids[0]}
        approval = (await people.operator.post("/approvals", json=body)).json()["id"]
        async with muster.database.write() as session:
            at = begin + timedelta(days=3 * number)
            statement = update(Approval).where(Approval.id == approval)
            await session.execute(statement.values(created_at=at))
        verb = ["approve", "reject", None][number % 3]
        if verb is not None:
            reason = {"reason": "Checked with the customer; the amount fits the invoice."}
            answer = await people.operator.post(f"/approvals/{approval}/{verb}", json=reason)
            assert answer.status_code == 200, answer.text
