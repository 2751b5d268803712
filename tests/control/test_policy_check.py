"""The gate's check of policies: what it costs, what it remembers, what it sees of a step."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.gate import (
    Action,
    ApprovalEvidence,
    IntendedStep,
    Limits,
    Outcome,
    Progress,
    arguments_hash,
)
from muster.domains.control.policies import (
    CompiledPolicies,
    Memories,
    NormalStep,
    PolicyCheck,
    RateQuery,
    RecordedRun,
    RecordedStep,
    target_of,
)
from muster.domains.control.policies.models import Policy
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.people import People

pytestmark = pytest.mark.anyio


class Told:
    """A journal that tells what it was given."""

    def __init__(self) -> None:
        self.recorded: dict[str, list[RecordedStep]] = {}
        self.asked: list[tuple[str, int]] = []
        self.count = 0

    def add(self, run_id: str, key: str, step: NormalStep) -> None:
        steps = self.recorded.setdefault(run_id, [])
        steps.append(RecordedStep(len(steps) + 1, key, step))

    async def steps(
        self, run_id: str, *, after: int, session: AsyncSession | None = None
    ) -> Sequence[RecordedStep]:
        assert session is None
        self.asked.append((run_id, after))
        return self.recorded.get(run_id, [])[after:]

    async def run_of(self, project_id: str, agent_id: str, task_id: str) -> str | None:
        raise AssertionError((project_id, agent_id, task_id))

    async def runs(self, project_id: str, **period: Any) -> Sequence[RecordedRun]:
        raise AssertionError((project_id, period))

    async def counts(
        self,
        agent_id: str,
        queries: Sequence[RateQuery],
        *,
        session: AsyncSession | None = None,
    ) -> dict[str, int]:
        assert agent_id
        assert session is None
        return {query.key: self.count for query in queries}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def check(muster: Muster, told: Told) -> PolicyCheck:
    policies = CompiledPolicies(muster.database, muster.live)
    return PolicyCheck(muster.database, policies, Memories(told, max_runs=2))


def intended(people: People, key: str = "t1.0", run_id: str = "r1", **fields: Any) -> IntendedStep:
    values: dict[str, Any] = {
        "project_id": people.project_id,
        "run_id": run_id,
        "agent_id": "a1",
        "agent": {"name": "Tester", "metadata": {}},
        "key": key,
        "kind": "step.exec",
        "verb": None,
        "name": "shell",
        "arguments": {},
        "limits": Limits(max_iter=5),
        "progress": Progress(
            iteration=1, model_calls=0, tool_calls=0, active_s=0, started_at=clock.now()
        ),
    }
    return IntendedStep(**{**values, **fields})


async def policy(people: People, **fields: Any) -> dict[str, Any]:
    body = {
        "name": "Twice",
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.exec", "max_steps": 2},
        "severity": "critical",
        "scope": "step_execution",
        **fields,
    }
    made = await people.editor.post("/policies", json=body)
    assert made.status_code == 201, made.text
    return made.json()


DONE = NormalStep(kind="step.exec")


async def test_without_policies_nothing_is_read(
    people: People, check: PolicyCheck, told: Told
) -> None:
    assert await check.judge(intended(people)) == ()
    assert told.asked == []


async def test_the_memory_is_the_journal(people: People, check: PolicyCheck, told: Told) -> None:
    await policy(people)
    first = intended(people)
    assert await check.judge(first) == []
    told.add("r1", "t1.0~2", DONE)  # an attempt of the step that is under way
    second = intended(people, "t2.0")
    assert await check.judge(second) == []
    await check.settle(second, Outcome(succeeded=False, cost=None))
    assert await check.judge(second) == []
    told.add("r1", "t2.0", DONE)
    (finding,) = await check.judge(intended(people, "t3.0"))
    assert (finding.action, finding.code) == (Action.BLOCK, "policy_violation")
    assert told.asked == [("r1", 0), ("r1", 0), ("r1", 1), ("r1", 1)]
    # Runs of which too many others came after are told again.
    for run_id in ("r2", "r3"):
        await check.judge(intended(people, run_id=run_id))
    (finding,) = await check.judge(intended(people, "t3.0"))
    assert told.asked[-1] == ("r1", 0)
    await check.release(intended(people, run_id="never"))


async def test_a_step_that_was_refused_is_not_under_way(
    people: People, check: PolicyCheck, told: Told
) -> None:
    await policy(people, params={"step_type": "step.exec", "max_steps": 1})
    told.add("r1", "t0.0", DONE)
    for _ in range(2):
        (finding,) = await check.judge(intended(people))
        assert finding.details["policies"][0]["violation_details"]["count"] == 2


async def test_changes_reach_the_check(people: People, check: PolicyCheck, told: Told) -> None:
    made = await policy(people)
    told.add("r1", "t1.0", DONE)
    told.add("r1", "t2.0", DONE)
    assert await check.judge(intended(people, "t3.0"))
    await people.editor.post(f"/policies/{made['id']}/disable")
    assert await check.judge(intended(people, "t3.0")) == ()


async def test_rate_limits(people: People, check: PolicyCheck, told: Told) -> None:
    await policy(
        people,
        rule_type="cross_execution_rate_limit",
        params={"step_type": "step.exec", "max_count": 2, "window_minutes": 5},
    )
    told.count = 1
    assert await check.judge(intended(people)) == []
    assert await check.judge(intended(people, "t1.1"))  # one in the journal, one under way
    (finding,) = await check.judge(intended(people, run_id="r2", agent_id=None))
    assert "nobody counted" in finding.message


async def test_what_was_approved_is_bound_to_its_arguments(
    people: People, check: PolicyCheck
) -> None:
    await policy(
        people,
        rule_type="step_requires_gate",
        params={"target_step_types": ["step.exec"]},
        enforcement="require_approval",
    )
    (finding,) = await check.judge(intended(people))
    assert finding.action is Action.ASK
    for approved, arguments, action, code in (
        (True, {}, Action.ALLOW, "policy_approved"),
        (True, {"command": "rm"}, Action.ASK, "policy_approval"),
        (False, {}, Action.BLOCK, "rejected"),
    ):
        evidence = ApprovalEvidence(
            approval_id="x",
            approved=approved,
            arguments_hash=arguments_hash("shell", {}),
            decided_by="Ada",
            reason=None,
        )
        step = intended(people, approval=evidence, arguments=arguments)
        (finding,) = await check.judge(step)
        assert (finding.action, finding.code) == (action, code)
    (incident,) = (await people.viewer.get("/incidents")).json()["items"]
    assert incident["count"] == 1


async def test_many_policies_are_named_in_short(people: People, check: PolicyCheck) -> None:
    for name in "abcde":
        await policy(
            people,
            name=name,
            rule_type="step_requires_gate",
            params={"target_step_types": ["step.exec"]},
        )
    (finding,) = await check.judge(intended(people))
    assert "and 2 more" in finding.message
    assert len(finding.details["policies"]) == 5


async def test_what_cannot_be_read_allows_nothing(
    people: People, check: PolicyCheck, muster: Muster
) -> None:
    async with muster.database.write() as session:
        fields = {"name": "New", "rule_type": "unheard_of", "params": {}, "severity": "low"}
        row = Policy(project_id=people.project_id, scope="step_execution", **fields)
        session.add(row)
    (finding,) = await check.judge(intended(people))
    assert (finding.action, finding.code) == (Action.BLOCK, "policy_unreadable")


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ({"url": "https://Example.test:8/x"}, "example.test"),
        ({"url": "http://["}, "http://["),
        ({"url": "nowhere"}, "nowhere"),
        ({"path": "../x"}, "../x"),
        ({"path": 1}, None),
        ("text", None),
    ],
)
def test_where_a_call_goes(arguments: Any, target: str | None) -> None:
    found = target_of(arguments)
    assert (found["host"] if found else None) == target
