"""Circuit breakers: counting, opening, probing, and what admins do with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, select, update

from muster.domains.control.breakers import (
    Barred,
    BreakerCheck,
    BreakerId,
    CircuitBreaker,
    Circuits,
    breaker_of,
)
from muster.domains.control.gate import Outcome
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.settings import BreakersSettings
from tests.support.people import People
from tests.work.test_gate import intended

pytestmark = pytest.mark.anyio

QUICK = BreakersSettings(
    failure_threshold=3, window_s=60, open_s=600, half_open_max=2, success_threshold=2
)
PROVIDER = BreakerId(None, "provider:openai")


@pytest.fixture
async def processes(muster: Muster) -> AsyncIterator[list[Circuits]]:
    """Two processes: nothing is between them but the database and the bus."""
    async with AsyncExitStack() as stack:
        made: list[Circuits] = []
        for _ in range(2):
            database = Database(muster.settings.database, pool_size=5)
            stack.push_async_callback(database.dispose)
            live = LiveBus(database)
            await live.start()
            stack.push_async_callback(live.stop)
            made.append(Circuits(database, live, QUICK))
        yield made


@pytest.fixture
def circuits(processes: list[Circuits]) -> Circuits:
    return processes[0]


async def fail(circuits: Circuits, breaker: BreakerId = PROVIDER, times: int = 1) -> None:
    for _ in range(times):
        admission = await circuits.admit(breaker)
        assert not isinstance(admission, Barred)
        await circuits.report(breaker, admission, answered=False, reason="It broke.")


async def row(muster: Muster, breaker: BreakerId = PROVIDER) -> CircuitBreaker:
    async with muster.database.read() as session:
        query = select(CircuitBreaker).where(CircuitBreaker.key == breaker.key)
        found: CircuitBreaker | None = await session.scalar(query)
        assert found is not None
        return found


async def become_due(muster: Muster) -> None:
    """Let the time until the next probe be over, and tell every process."""
    async with muster.database.write() as session:
        moment = clock.now()
        await session.execute(update(CircuitBreaker).values(probe_at=moment, updated_at=moment))
    muster.live.publish("circuit-breakers", {"type": "changed"})


async def until_probed(muster: Muster, circuits: Circuits, breaker: BreakerId = PROVIDER) -> None:
    await become_due(muster)
    async with asyncio.timeout(10):
        while await circuits.admit(breaker) != "probe":
            await asyncio.sleep(0.01)


async def told(client: httpx2.AsyncClient, path: str = "/events") -> list[str]:
    answer = await client.get(path, params={"limit": 100})
    assert answer.status_code == 200, answer.text
    types = [e["type"] for e in reversed(answer.json()["items"])]
    return [name for name in types if name.startswith("circuit_breaker.")]


async def test_it_opens_is_probed_and_closes(muster: Muster, circuits: Circuits) -> None:
    await fail(circuits, times=3)
    barred = await circuits.admit(PROVIDER)
    assert isinstance(barred, Barred)
    assert (barred.probing, barred.reason) == (False, "It broke.")
    assert "provider:openai is open. It broke. It will be probed at " in barred.message

    await until_probed(muster, circuits)
    assert await circuits.admit(PROVIDER) == "probe"
    third = await circuits.admit(PROVIDER)
    assert isinstance(third, Barred)
    assert third.probing
    assert "being probed now" in third.message
    await circuits.report(PROVIDER, "probe", answered=None)
    assert await circuits.admit(PROVIDER) == "probe"
    await circuits.report(PROVIDER, "probe", answered=True)
    assert (await row(muster)).state == "half_open"
    await circuits.report(PROVIDER, "probe", answered=True)
    closed = await row(muster)
    assert (closed.state, closed.failures, closed.probes) == ("closed", 0, 0)
    assert await circuits.admit(PROVIDER) == "pass"


async def test_a_probe_that_fails_opens_it_again(muster: Muster, circuits: Circuits) -> None:
    await fail(circuits, times=3)
    await until_probed(muster, circuits)
    await circuits.report(PROVIDER, "probe", answered=False)
    again = await row(muster)
    assert (again.state, again.probes) == ("open", 0)
    # Whatever else was under way and fails now changes nothing.
    await circuits.report(PROVIDER, "probe", answered=False)
    await circuits.report(PROVIDER, "pass", answered=False)
    assert (await row(muster)).failures == again.failures


async def test_a_lost_probe_does_not_stand_in_the_way(muster: Muster, circuits: Circuits) -> None:
    await fail(circuits, times=3)
    await until_probed(muster, circuits)
    assert await circuits.admit(PROVIDER) == "probe"
    async with muster.database.write() as session:
        long_ago = clock.now() - timedelta(hours=1)
        await session.execute(update(CircuitBreaker).values(probed_at=long_ago))
    assert await circuits.admit(PROVIDER) == "probe"
    assert (await row(muster)).probes == 1


async def test_failures_count_in_a_row_and_within_the_window(
    muster: Muster, circuits: Circuits
) -> None:
    await fail(circuits, times=2)
    await circuits.report(PROVIDER, "pass", answered=True)
    assert (await row(muster)).failures == 0
    await fail(circuits, times=2)
    async with muster.database.write() as session:
        long_ago = clock.now() - timedelta(hours=1)
        await session.execute(
            update(CircuitBreaker).values(first_failure_at=long_ago, updated_at=clock.now())
        )
    await fail(circuits)
    assert ((await row(muster)).state, (await row(muster)).failures) == ("closed", 1)


async def test_what_works_writes_and_reads_nothing(muster: Muster) -> None:
    circuits = Circuits(muster.database, muster.live, BreakersSettings())
    assert await circuits.admit(PROVIDER) == "pass"
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    engine = muster.database._writer.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    for _ in range(100):
        assert await circuits.admit(PROVIDER) == "pass"
        await circuits.report(PROVIDER, "pass", answered=True)
        await circuits.report(PROVIDER, "pass", answered=None)
    event.remove(engine, "before_cursor_execute", note)
    # A hint of the bus may let it look whether the table is as it was, now and then.
    assert len(statements) <= 5, statements
    assert not [s for s in statements if not s.startswith("SELECT count(")]


async def test_processes_count_together_and_hear_of_each_other(
    muster: Muster, processes: list[Circuits]
) -> None:
    """Thirty failures at once, in two processes: it opens once."""
    breaker = BreakerId(None, "provider:slow")
    await asyncio.gather(
        *(processes[n % 2].report(breaker, "pass", answered=False) for n in range(30))
    )
    found = await row(muster, breaker)
    assert (found.state, found.failures) == ("open", 3)
    for circuits in processes:
        async with asyncio.timeout(10):
            while await circuits.admit(breaker) == "pass":
                await asyncio.sleep(0.01)
    await become_due(muster)
    # However many ask, as many probes as are allowed are made.
    admissions = await asyncio.gather(*(processes[n % 2].admit(breaker) for n in range(20)))
    assert sum(a == "probe" for a in admissions) <= 2
    assert sum(a == "pass" for a in admissions) == 0


async def test_the_gate(people: People, muster: Muster, circuits: Circuits) -> None:
    check = BreakerCheck(circuits)
    step = intended(project_id=people.project_id, breaker="tool:crm")
    assert await check.judge(intended(project_id=people.project_id)) == ()
    for _ in range(3):
        assert await check.judge(step) == ()
        await check.settle(step, Outcome(succeeded=False, cost=None, answered=False))
    (finding,) = await check.judge(step)
    assert (finding.code, finding.ends_run) == ("circuit_open", False)
    assert finding.details["circuit_breaker"] == "tool:crm"
    await check.release(step)
    other = intended(project_id=people.other_project_id, breaker="tool:crm")
    assert await check.judge(other) == ()
    await check.release(other)

    breaker = breaker_of("tool:crm", people.project_id)
    await become_due(muster)
    async with asyncio.timeout(10):
        while await check.judge(step):
            await asyncio.sleep(0.01)
    assert (await row(muster, breaker)).probes == 1
    await check.release(step)
    assert (await row(muster, breaker)).probes == 0
    assert await told(people.viewer) == ["circuit_breaker.opened"]


async def test_only_admins_see_and_change_them(people: People) -> None:
    for person in (people.owner, people.viewer, people.outsider):
        assert (await person.get("/circuit-breakers")).status_code == 403
        assert (await person.post("/circuit-breakers/tool:x/reset")).status_code == 403


async def test_by_hand(people: People, muster: Muster) -> None:
    circuits = Circuits(muster.database, muster.live, muster.settings.breakers)
    path = "/circuit-breakers/tool:crm"
    body = {"name": "tool:crm", "failure_threshold": 1, "open_s": 600}
    made = await people.admin.post("/circuit-breakers", json=body)
    assert made.status_code == 200, made.text
    breaker = made.json()
    assert (breaker["state"], breaker["scope"], breaker["configured"]) == (
        "closed",
        "project",
        True,
    )
    assert (breaker["failure_threshold"], breaker["window_s"]) == (1, 60)
    tool = breaker_of("tool:crm", people.project_id)
    await circuits.report(tool, "pass", answered=False)
    listed = (await people.admin.get("/circuit-breakers", params={"state": "open"})).json()
    (shown,) = listed["items"]
    assert (shown["name"], shown["failures"]) == ("tool:crm", 1)
    assert shown["probe_at"] > shown["opened_at"]

    closed = await people.admin.post(f"{path}/force-close")
    assert (closed.json()["state"], closed.json()["configured"]) == ("closed", True)
    assert await circuits.admit(tool) == "pass"
    opened = await people.admin.post(f"{path}/force-open", json={"reason": "Maintenance."})
    assert (opened.json()["state"], opened.json()["probe_at"]) == ("open", None)
    barred = await circuits.admit(tool)
    assert isinstance(barred, Barred)
    assert "Maintenance. An admin opened it and has to close it." in barred.message
    reset = await people.admin.post(f"{path}/reset")
    assert (reset.json()["state"], reset.json()["configured"]) == ("closed", False)
    assert (reset.json()["failure_threshold"], reset.json()["reason"]) == (5, None)
    assert await told(people.viewer) == [
        "circuit_breaker.configured",
        "circuit_breaker.opened",
        "circuit_breaker.closed",
        "circuit_breaker.opened",
        "circuit_breaker.reset",
    ]


async def test_those_of_the_platform_are_told_in_its_chain(
    people: People, muster: Muster, circuits: Circuits
) -> None:
    path = "/circuit-breakers/provider:openai"
    opened = await people.admin.post(f"{path}/force-open")
    assert opened.json()["scope"] == "platform"
    assert opened.json()["reason"] == "Admin opened it."
    other = await people.superadmin.get("/circuit-breakers")
    assert [b["name"] for b in other.json()["items"] if b["state"] == "open"] == ["provider:openai"]
    for verb in ("force-close", "reset"):
        assert (await people.admin.post(f"{path}/{verb}")).json()["state"] == "closed"
    body = {"name": "provider:openai", "half_open_max": 3, "failure_threshold": 3}
    assert (await people.admin.post("/circuit-breakers", json=body)).json()["half_open_max"] == 3
    async with asyncio.timeout(10):
        while (await circuits._seen.get()).get(PROVIDER.key) is None:
            await asyncio.sleep(0.01)
    await fail(circuits, times=3)
    await until_probed(muster, circuits)
    await circuits.report(PROVIDER, "probe", answered=True)
    assert await circuits.admit(PROVIDER) == "probe"
    await circuits.report(PROVIDER, "probe", answered=True)
    assert await told(people.viewer) == []
    assert await told(people.admin, "/admin/audit") == [
        "circuit_breaker.opened",
        "circuit_breaker.closed",
        "circuit_breaker.reset",
        "circuit_breaker.configured",
        "circuit_breaker.opened",
        "circuit_breaker.closed",
    ]


@pytest.mark.parametrize("name", ["openai", "tool:", "tool: x", "else:x", "tool:" + "x" * 300])
async def test_what_is_no_name(people: People, name: str) -> None:
    refused = await people.admin.post("/circuit-breakers", json={"name": name})
    assert refused.status_code == 422
    refused = await people.admin.post(f"/circuit-breakers/{name}/reset")
    assert (refused.status_code, refused.json()["error"]) == (422, "circuit_breaker_name_invalid")


async def test_idle_ones_are_forgotten(people: People, muster: Muster, circuits: Circuits) -> None:
    await fail(circuits)
    await people.admin.post("/circuit-breakers", json={"name": "tool:kept", "open_s": 1})
    async with muster.database.write() as session:
        await session.execute(
            update(CircuitBreaker).values(updated_at=clock.now() - timedelta(days=2))
        )
    await circuits.sweep()
    async with muster.database.read() as session:
        assert list(await session.scalars(select(CircuitBreaker.name))) == ["tool:kept"]
