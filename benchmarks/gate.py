"""What one decision of the gate costs."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, less_than
from benchmarks.journal_rows import NEWEST, agent_of, fill
from benchmarks.product import Product, product
from benchmarks.timing import percentile
from muster.domains.control.gate import (
    ApprovalEvidence,
    Gate,
    IntendedStep,
    Limits,
    Progress,
    ToolFacts,
    arguments_hash,
)
from muster.kernel import clock

_ARGUMENTS = {"path": "reports/2026/summary.md", "content": "word " * 200, "append": False}
_STEPS = 50
_WARM_UP = 200
_HOW = (
    "`Gate.evaluate` of the assembled product, one decision after the other in the server's event "
    f"loop, for a run with {_STEPS} steps behind it. The call that needs an approval has one, "
    "bound to arguments of 1 KB, which are hashed for the comparison. With `max_rpm` the agent's "
    "calls of the last minute are read from the journal for each decision."
)


async def measure(context: Context) -> Report:
    """Measure decisions."""
    report = Report(name="gate", title="A decision of the gate", how=_HOW)
    with context.scratch() as folder:
        async with (
            fresh_database("sqlite", folder) as url,
            product(url, folder, engine="off") as muster,
        ):
            run_id = await _history(muster, url)
            gate = muster.muster.running.parts.gate
            checks = ", ".join(check.name for check in gate.checks)
            report.notes.append(f"The gate asked: {checks}.")
            count = context.pick(20_000, 5_000, 200)
            for name, step in intended(muster.accounts.project_id, run_id).items():
                context.say(name)
                reads = step.limits.max_rpm is not None
                times = await _decide(gate, step, max(count // (10 if reads else 1), 50))
                report.add(f"{name}, p50", percentile(times, 50), "µs")
                bar = None if reads else less_than(296)
                report.add(f"{name}, p99", percentile(times, 99), "µs", bar)
    return report


async def _history(muster: Product, url: str) -> str:
    runs = await fill(url, muster.accounts.project_id, runs=1, steps=_STEPS, first=NEWEST)
    return runs[0]


def intended(project_id: str, run_id: str) -> dict[str, IntendedStep]:
    """Return steps that are to be judged, by what they are."""
    started = clock.now() - timedelta(minutes=2)
    model = IntendedStep(
        project_id=project_id,
        run_id=run_id,
        agent_id=agent_of(NEWEST),
        agent={"name": "Agent", "environment": "production"},
        key="m26",
        kind="step.model",
        verb="POST",
        name="openai/scripted-large",
        arguments={},
        limits=Limits(max_iter=100, max_execution_time_s=600),
        progress=Progress(
            iteration=26, model_calls=25, tool_calls=25, active_s=60.0, started_at=started
        ),
    )
    tool = replace(
        model,
        key="t26.0",
        kind="step.resource",
        name="write_file",
        arguments=_ARGUMENTS,
        tool=ToolFacts(
            name="write_file", kind="builtin", enabled=True, granted=True, requires_approval=False
        ),
    )
    assert tool.tool is not None
    approved = replace(
        tool,
        tool=replace(tool.tool, requires_approval=True),
        approval=_approval("write_file", _ARGUMENTS),
    )
    limited = replace(model, limits=replace(model.limits, max_rpm=60))
    return {
        "model call": model,
        "tool call": tool,
        "approved tool call": approved,
        "model call of an agent with max_rpm": limited,
    }


def _approval(name: str, arguments: dict[str, Any]) -> ApprovalEvidence:
    return ApprovalEvidence(
        approval_id="approval",
        approved=True,
        arguments_hash=arguments_hash(name, arguments),
        decided_by="Ada",
        reason=None,
    )


async def _decide(gate: Gate, step: IntendedStep, count: int) -> Sequence[float]:
    """Return the microseconds that each of so many decisions took."""
    times: list[float] = []
    for _ in range(_WARM_UP):
        await gate.evaluate(step)
    for _ in range(count):
        begun = time.perf_counter_ns()
        await gate.evaluate(step)
        times.append((time.perf_counter_ns() - begun) / 1000)
    return times
