"""What one decision of the gate costs with many policies, by how long the run has been."""

import random
import time
from typing import Any

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, less_than
from benchmarks.gate import intended
from benchmarks.journal_rows import NEWEST, fill
from benchmarks.product import product
from benchmarks.timing import percentile
from muster.domains.control.gate import Action, Gate, IntendedStep, Outcome

_POLICIES = 100
_FLAT = 1.5
_WARM_UP = 100
_HOW = (
    f"`Gate.evaluate` of the assembled product on SQLite for a tool call, with {_POLICIES} "
    "policies of ten rules that look at the course of a run, at counts and at the call itself, all "
    "about calls of this kind, none violated. Computing is the CPU time of the same decisions. The "
    "journal is looked at for new steps at each decision, and has none. Runs with a short and a "
    "long history are asked in turn, in random order; growth compares their medians."
)
_TAINT = {"taint_step_type": "step.resource", "taint_property_filter": {"trust": "untrusted"}}
_NEVER = {"step_type": "step.credential"}
_HERE = {"target_step_types": ["step.resource"]}
_RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tainted_path_block", {**_TAINT, **_HERE, "target_verb": "GET"}),
    ("execution_max_steps", {"step_type": "step.resource", "max_steps": 1_000_000}),
    ("max_consecutive_same_type", {"step_type": "step.resource", "max_consecutive": 50}),
    ("step_requires_predecessor", {**_HERE, "required_step_type": "step.model"}),
    ("step_not_after", {**_HERE, "forbidden_predecessor_step_types": ["step.credential"]}),
    ("sequence_forbidden", {"forbidden_sequence": ["step.credential", "step.exec"]}),
    ("not", {"condition": {"rule_type": "history_contains", "params": _NEVER}}),
    ("path_within_root", {**_HERE, "field": "input.path"}),
    ("usage_budget", {"step_type": "step.model", "property_path": "tokens", "budget": 1_000_000}),
    ("pii_in_request", {"patterns": ["[0-9]{3}-[0-9]{2}-[0-9]{4}"]}),
)


_Times = dict[int, list[float]]


async def measure(context: Context) -> Report:
    """Measure decisions."""
    report = Report(name="policies", title=f"A decision by {_POLICIES} policies", how=_HOW)
    lengths = context.pick(10_000, 10_000, 100), 50
    with context.scratch() as folder:
        async with (
            fresh_database("sqlite", folder) as url,
            product(url, folder, engine="off") as muster,
        ):
            project_id = muster.accounts.project_id
            for number in range(_POLICIES):
                answer = await muster.client.post("/policies", json=_policy(number))
                answer.raise_for_status()
            steps: dict[int, IntendedStep] = {}
            for length in lengths:
                runs = await fill(url, project_id, runs=1, steps=length, first=NEWEST)
                steps[length] = intended(project_id, runs[0])["tool call"]
            count = context.pick(20_000, 5_000, 200)
            times, computing = await _in_turn(muster.muster.running.parts.gate, steps, count)
    for length in sorted(steps):
        name = f"{_POLICIES} policies, {length:,} steps of history"
        report.add(f"{name}, p50", percentile(times[length], 50), "µs")
        report.add(f"{name}, p99", percentile(times[length], 99), "µs", less_than(296))
        report.add(f"{name}, computing, p99", percentile(computing[length], 99), "µs")
    long, short = (percentile(times[length], 50) for length in lengths)
    report.add("growth with the history", long / short, "times", less_than(_FLAT))
    return report


def _policy(number: int) -> dict[str, Any]:
    rule, params = _RULES[number % len(_RULES)]
    return {
        "name": f"Policy {number}",
        "rule_type": rule,
        "params": params,
        "severity": "medium",
        "scope": "step_execution",
    }


async def _in_turn(gate: Gate, steps: dict[int, IntendedStep], count: int) -> tuple[_Times, _Times]:
    """Return the microseconds of the decisions and of their computing, by the length."""
    times: _Times = {length: [] for length in steps}
    computing: _Times = {length: [] for length in steps}
    order = list(steps)
    chance = random.Random(7)
    for number in range(count + _WARM_UP):
        chance.shuffle(order)
        for length in order:
            computed, begun = time.thread_time_ns(), time.perf_counter_ns()
            decision = await gate.evaluate(steps[length])
            if number >= _WARM_UP:
                times[length].append((time.perf_counter_ns() - begun) / 1000)
                computing[length].append((time.thread_time_ns() - computed) / 1000)
            assert decision.action is Action.ALLOW, decision
            # Else the next one would be judged as a step that happens at the same time.
            await gate.settle(steps[length], Outcome(succeeded=True))
    return times, computing
