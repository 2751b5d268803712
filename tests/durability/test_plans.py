"""Crews and workflows whose workers are killed at every boundary between two steps."""

from typing import get_args

import pytest

from muster.domains.work.plans import NodeType
from tests.durability.halting import When
from tests.durability.plan_bodies import furnish, hierarchical, machines, people, sequential
from tests.durability.plans import Body, Plans
from tests.durability.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.durability]

KILLS = 4
"""How often each run is interrupted: the boundaries are dealt out to as many runs as that takes."""


@pytest.fixture
async def plans(world: World) -> Plans:
    await furnish(world)
    return Plans(world)


@pytest.mark.parametrize(("when", "standby"), [("after", 0), ("before", 1)])
@pytest.mark.parametrize("body", [sequential, hierarchical, machines, people])
async def test_killed_at_every_boundary(
    plans: Plans, body: Body, when: When, standby: int
) -> None:
    """Alone a worker is started again; else another one has to do without it for a while."""
    import time
    t0=time.time()
    workers = [await plans.worker() for _ in range(1 + standby)]
    print("start", time.time()-t0)
    quiet = await plans.begin(body, "quiet")
    await plans.settle([quiet])
    facts = (await plans.trees())[quiet.id].facts
    boundaries = range(facts) if when == "before" else range(1, facts + 1)
    runs = -(-facts // KILLS)
    print("quiet", time.time()-t0, facts, runs)
    cases = [
        await plans.begin(body, f"k{number:02}", when, boundaries[number::runs])
        for number in range(runs)
    ]
    await plans.settle(cases)
    killed = 0
    while await plans.at_work(cases):
        print("settled", time.time()-t0)
        killed += len(await plans.kill(workers.pop(0), cases))
        if workers:
            await plans.settle(cases)
        print("settled", time.time()-t0)
        workers.append(await plans.worker())
        print("new", time.time()-t0)
        await plans.settle(cases)
    expected = await plans.came(quiet)
    for case in cases:
        await plans.check(case, expected)
    print("checked", killed, time.time()-t0)


def test_every_type_of_node_is_among_them() -> None:
    nodes = [*machines("x")["workflow"]["nodes"], *people("x")["workflow"]["nodes"]]
    assert {node["type"] for node in nodes} == set(get_args(NodeType))
