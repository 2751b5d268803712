"""Crews and workflows whose workers are killed at every boundary between two steps."""

from typing import get_args

import pytest

from muster.domains.work.plans import NodeType
from tests.durability.halting import When
from tests.durability.plan_bodies import failing, hierarchical, machines, people, sequential
from tests.durability.plans import Body, Plans

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KILLS = 4
"""How often each run is interrupted: the boundaries are dealt out to as many runs as that takes."""


@pytest.mark.parametrize(("when", "standby"), [("after", 0), ("before", 1)])
@pytest.mark.parametrize("body", [sequential, hierarchical, machines, people, failing])
async def test_killed_at_every_boundary(plans: Plans, body: Body, when: When, standby: int) -> None:
    """Alone a worker is started again; else another one has to do without it for a while."""
    workers = [await plans.worker() for _ in range(1 + standby)]
    quiet = await plans.begin(body, "quiet")
    await plans.settle([quiet])
    expected = await plans.came(quiet)
    facts = expected.facts
    boundaries = range(facts) if when == "before" else range(1, facts + 1)
    runs = -(-facts // KILLS)
    cases = [
        await plans.begin(body, f"k{number:02}", when, boundaries[number::runs])
        for number in range(runs)
    ]
    assert await plans.interrupt(workers, cases) == facts
    for case in cases:
        await plans.check(case, expected)


def test_every_type_of_node_is_among_them() -> None:
    nodes = [*machines("x")["workflow"]["nodes"], *people("x")["workflow"]["nodes"]]
    assert {node["type"] for node in nodes} == set(get_args(NodeType))
