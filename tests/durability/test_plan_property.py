"""Random plans whose processes are killed at random steps come to what they come to undisturbed.

With `MUSTER_TEST_PLANS=20` so many times five plans are tried, and other ones each time.
"""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from muster.domains.work.plans import WorkflowSpec
from muster.domains.work.plans.runner import PlanRunner
from tests.durability.plans import MODEL, Body, Plans
from tests.durability.servers import prompt
from tests.durability.workers import Worker
from tests.work.plan_programs import Block, programs, written
from tests.work.test_plan_property import Journal

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

TRIES = os.environ.get("MUSTER_TEST_PLANS")
AT_ONCE = 5
NODES = range(6, 16)
INPUTS = {"a": 1, "b": 2, "c": 1}
RETRY = {"attempts": 1, "wait_s": 0}

TALKS = {"type": "llm", "prompt": prompt("says", "{{ tag }}a")}
FETCHES = {"type": "tool", "tool": "fetch", "arguments": {"run": "{{ tag }}t", "part": "p{{ a }}"}}
ASKS = {"type": "approval"}
# These fail each time: the attempts are counted, and the plan goes on without a result.
REFUSED = {"type": "llm", "prompt": prompt("refuses", "{{ tag }}r"), "retry": RETRY, "fallback": 1}
BROKEN = {**FETCHES, "tool": "broken", "retry": RETRY, "fallback": 2}


def node(node: dict[str, Any]) -> st.SearchStrategy[Block]:
    return st.just({"kind": "node", "node": node})


def is_worth_it(program: list[Block]) -> bool:
    """Tell whether a program comes to its end within a few nodes, but not at once."""
    journal = Journal(0, 0)
    plan = WorkflowSpec(nodes=written(program))
    asyncio.run(PlanRunner(plan, journal.act, INPUTS).run())
    return len(journal.kept) in NODES


PROGRAMS = programs(*map(node, (TALKS, FETCHES, ASKS, REFUSED, BROKEN)), most=6)
CRASHES = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True).map(sorted)
"""How many percent of its facts a run has when it stands still."""
PLANS = st.tuples(PROGRAMS.filter(is_worth_it), st.sampled_from(["before", "after"]), CRASHES)


def body_of(program: list[Block]) -> Body:
    nodes = [one.model_dump(exclude_defaults=True) for one in written(program)]

    def body(tag: str) -> dict[str, Any]:
        workflow = {"name": "Random", "model": MODEL, "nodes": nodes}
        return {"workflow": workflow, "inputs": {**INPUTS, "tag": tag}}

    return body


def shares(percent: list[int], facts: int) -> list[int]:
    return sorted({1 + share * (facts - 1) // 100 for share in percent})


@given(drawn=st.lists(PLANS, min_size=AT_ONCE, max_size=AT_ONCE))
@settings(
    max_examples=int(TRIES or 3),
    derandomize=TRIES is None,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
async def test_random_plans_and_random_kills(plans: Plans, drawn: list[Any]) -> None:
    workers = [await plans.worker() for _ in range(1 if plans.is_sqlite else 2)]
    try:
        await compare(plans, workers, drawn)
    finally:
        await plans.world.workers.close()


async def compare(plans: Plans, workers: list[Worker], drawn: list[Any]) -> None:
    """Execute plans undisturbed, and once more with kills."""
    quiet = [await plans.begin(body_of(p), plans.new_name("quiet")) for p, _, _ in drawn]
    await plans.settle(quiet)
    expected = [await plans.came(one) for one in quiet]
    cases = [
        await plans.begin(
            body_of(program), plans.new_name("crash"), when, shares(percent, came.facts)
        )
        for (program, when, percent), came in zip(drawn, expected, strict=True)
    ]
    assert await plans.interrupt(workers, cases) == sum(len(case.facts) for case in cases)
    for case, came in zip(cases, expected, strict=True):
        await plans.check(case, came)
