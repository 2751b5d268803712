"""The gate: each check by itself, the strictest answer, and what is held."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from muster.domains.control.gate import (
    Action,
    ApprovalEvidence,
    ApprovalRequired,
    Finding,
    Gate,
    IntendedStep,
    IterationLimit,
    Limits,
    Outcome,
    Progress,
    RateLimit,
    TimeLimit,
    ToolFacts,
    ToolPermission,
    arguments_hash,
    standard_checks,
)
from muster.kernel import clock

pytestmark = pytest.mark.anyio

TOOL = ToolFacts(name="pay", kind="http", enabled=True, granted=True, requires_approval=False)
ARGUMENTS = {"amount": 5, "to": "Ada"}


def intended(**values: Any) -> IntendedStep:
    fields: dict[str, Any] = {
        "project_id": "p",
        "run_id": "r",
        "agent_id": "a",
        "agent": {},
        "key": "m1",
        "kind": "step.model",
        "verb": "POST",
        "name": "pay",
        "arguments": ARGUMENTS,
        "limits": Limits(max_iter=3),
        "progress": Progress(
            iteration=1, model_calls=0, tool_calls=0, active_s=0, started_at=clock.now()
        ),
    }
    return IntendedStep(**{**fields, **values})


def calling(tool: ToolFacts | None, **values: Any) -> IntendedStep:
    return intended(key="t1.0", kind="step.resource", tool=tool, **values)


def at(iteration: int = 1, active_s: float = 0) -> Progress:
    return Progress(
        iteration=iteration,
        model_calls=0,
        tool_calls=0,
        active_s=active_s,
        started_at=clock.now(),
    )


async def nobody(_: str, __: datetime, ___: int) -> Sequence[datetime]:
    return ()


async def codes(check: Any, step: IntendedStep) -> list[tuple[str, str]]:
    return [(f.action.value, f.code) for f in await check.judge(step)]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (None, []),
        (TOOL, []),
        (replace(TOOL, enabled=False), [("block", "tool_disabled")]),
        (replace(TOOL, granted=False), [("block", "tool_not_granted")]),
        (replace(TOOL, granted=False, enabled=False), [("block", "tool_not_granted")]),
    ],
)
async def test_a_tool_must_be_granted_and_enabled(
    tool: ToolFacts | None, expected: list[tuple[str, str]]
) -> None:
    assert await codes(ToolPermission(), calling(tool)) == expected


async def test_iterations_are_limited() -> None:
    check = IterationLimit()
    assert await codes(check, intended(progress=at(3))) == []
    assert await codes(check, intended(progress=at(4))) == [("block", "max_iter")]
    assert await codes(check, calling(TOOL, progress=at(4))) == []


async def test_time_is_limited() -> None:
    check = TimeLimit()
    assert await codes(check, intended(progress=at(active_s=1e9))) == []
    limits = Limits(max_iter=3, max_execution_time_s=2.5)
    assert await codes(check, intended(limits=limits, progress=at(active_s=2.4))) == []
    (finding,) = await check.judge(calling(TOOL, limits=limits, progress=at(active_s=2.5)))
    assert (finding.code, finding.ends_run) == ("max_execution_time", True)
    assert "2.5 seconds" in finding.message


def evidence(**values: Any) -> ApprovalEvidence:
    fields: dict[str, Any] = {
        "approval_id": "1",
        "approved": True,
        "arguments_hash": arguments_hash("pay", ARGUMENTS),
        "decided_by": "Ada",
        "reason": None,
    }
    return ApprovalEvidence(**{**fields, **values})


async def test_approval_is_bound_to_the_arguments() -> None:
    check, wanted = ApprovalRequired(), replace(TOOL, requires_approval=True)
    assert await codes(check, calling(None)) == []
    assert await codes(check, calling(TOOL)) == []
    (asked,) = await check.judge(calling(wanted))
    assert (asked.action, asked.message) == (Action.ASK, "The tool pay needs approval.")
    (asked,) = await check.judge(calling(replace(wanted, approval_reason="It costs money.")))
    assert asked.message == "It costs money."
    assert await codes(check, calling(wanted, approval=evidence())) == []
    other = calling(wanted, approval=evidence(), arguments={"amount": 6, "to": "Ada"})
    (asked,) = await check.judge(other)
    assert (asked.action, asked.message) == (
        Action.ASK,
        "The arguments are not those that were approved.",
    )
    for reason, text in ((None, "Ada rejected this call."), ("no", "Ada rejected this call: no")):
        (finding,) = await check.judge(
            calling(wanted, approval=evidence(approved=False, reason=reason))
        )
        assert (finding.code, finding.message) == ("rejected", text)


def test_the_hash_of_arguments_does_not_depend_on_their_order() -> None:
    assert arguments_hash("t", {"a": 1, "b": 2}) == arguments_hash("t", {"b": 2, "a": 1})
    assert arguments_hash("t", {"a": 1}) != arguments_hash("u", {"a": 1})
    assert arguments_hash("t", {"a": 1}) != arguments_hash("t", {"a": "1"})


LIMITED = Limits(max_iter=3, max_rpm=2)


async def waits(check: RateLimit, **values: Any) -> float:
    findings = await check.judge(intended(limits=LIMITED, **values))
    return sum(f.wait_s for f in findings)


async def test_calls_in_a_minute_are_limited_over_all_runs() -> None:
    ended: list[datetime] = []

    async def recent(agent_id: str, since: datetime, limit: int) -> Sequence[datetime]:
        assert (agent_id, limit) == ("a", 2)
        return sorted((t for t in ended if t >= since), reverse=True)[:limit]

    check = RateLimit(recent)
    now = clock.now()
    ended += [now - timedelta(seconds=50), now - timedelta(seconds=70)]
    assert await waits(check, run_id="1") == 0
    # The one of 50 seconds ago and the one under way: the next waits for the older to be over.
    assert await waits(check, run_id="2") == pytest.approx(10, abs=1)
    assert await waits(check, run_id="3") == pytest.approx(60, abs=1)
    assert await waits(check, run_id="4") == pytest.approx(70, abs=1)
    for run in ("3", "4"):
        await check.settle(intended(run_id=run), Outcome(succeeded=False, cost=None))
    assert await waits(check, run_id="5") == pytest.approx(60, abs=1)
    await check.release(intended(run_id="5"))
    for run in ("1", "2"):
        await check.settle(intended(run_id=run), Outcome(succeeded=True, cost=0.1))
    assert await waits(check, run_id="6") == 0


async def test_what_is_not_limited_by_the_minute() -> None:
    check = RateLimit(nobody)
    for step in (
        intended(),
        intended(limits=LIMITED, agent_id=None),
        calling(TOOL, limits=LIMITED),
    ):
        assert await check.judge(step) == ()
        await check.settle(step, Outcome(succeeded=True, cost=None))


class Recorder:
    """A check that says what it is told to, and notes what it is asked."""

    def __init__(self, name: str, *findings: tuple[Action, float]) -> None:
        self.name, self.calls = name, list[str]()
        self._findings = [
            Finding(check=name, action=action, code=f"{name}-{n}", message="m", wait_s=wait_s)
            for n, (action, wait_s) in enumerate(findings)
        ]

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        self.calls.append(f"judge {step.key}")
        return self._findings

    async def settle(self, step: IntendedStep, outcome: Outcome) -> None:
        self.calls.append(
            f"settle {step.key} {outcome.succeeded} {outcome.cost} {outcome.answered}"
        )

    async def release(self, step: IntendedStep) -> None:
        self.calls.append(f"release {step.key}")


@pytest.mark.parametrize(
    ("actions", "ruling"),
    [
        ((), Action.ALLOW),
        ((Action.ALLOW,), Action.ALLOW),
        ((Action.ALLOW, Action.WARN), Action.WARN),
        ((Action.WARN, Action.ASK, Action.ALLOW), Action.ASK),
        ((Action.ASK, Action.BLOCK, Action.WARN), Action.BLOCK),
    ],
)
async def test_the_strictest_finding_rules(actions: Sequence[Action], ruling: Action) -> None:
    checks = [Recorder(str(n), (action, 0.5 * n)) for n, action in enumerate(actions)]
    last = Recorder("last")
    decision = await Gate([*checks, last]).evaluate(intended())
    assert decision.action is ruling
    allowed = ruling in {Action.ALLOW, Action.WARN}
    # Every check is asked, also after one that refuses; what they hold is given back.
    assert last.calls == (["judge m1"] if allowed else ["judge m1", "release m1"])
    assert decision.wait_s == (0.5 * max(0, len(actions) - 1) if allowed else 0)
    assert [f["action"] for f in decision.as_json()["findings"]] == [a.value for a in actions]
    assert decision.ruling is None or decision.ruling.action is ruling


async def test_only_a_block_ends_a_run() -> None:
    class Ends(Recorder):
        async def judge(self, step: IntendedStep) -> Sequence[Finding]:
            found = await super().judge(step)
            return [replace(f, ends_run=True) for f in found]

    for action, ends in ((Action.BLOCK, True), (Action.ASK, False), (Action.WARN, False)):
        decision = await Gate([Ends("e", (action, 0))]).evaluate(intended())
        assert decision.ends_run is ends


async def test_settling_tells_every_check() -> None:
    checks = [Recorder("one"), Recorder("two")]
    gate = Gate(checks)
    await gate.settle(intended(), Outcome(succeeded=True, cost=0.5, answered=True))
    assert [check.calls for check in checks] == [["settle m1 True 0.5 True"]] * 2
    standard = Gate(standard_checks(nobody))
    await standard.settle(intended(), Outcome(succeeded=True, cost=None))
    refused = await standard.evaluate(intended(progress=at(9), limits=LIMITED))
    assert refused.ruling is not None
    assert (refused.action, refused.ruling.code) == (Action.BLOCK, "max_iter")
    assert (await standard.evaluate(intended(limits=LIMITED))).action is Action.ALLOW
