"""Making reports in the background: restarts, kills, errors, and whoever comes in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from muster.domains.insight.reports import (
    Report,
    ReportDispatcher,
    ReportMaker,
    ReportParts,
    making,
    rendering,
)
from muster.engine import Job, JobContext, Stop
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.background import in_background
from muster.kernel.settings import Settings
from tests.durability.workers import Nursery, Workers
from tests.durability.workers import until as wait_until
from tests.insight.report_setting import add_steps, ask, call, download, until
from tests.support.accounts import find_accounts, make_accounts
from tests.support.people import People, signed_in

pytestmark = pytest.mark.anyio

PERIOD = {"from": "2026-01-01", "to": "2029-01-01", "format": "json"}


@pytest.fixture(autouse=True)
def without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of PostgreSQL asks for TLS before it breaks a query off."""
    monkeypatch.setenv("PGSSLMODE", "disable")


class Held:
    """Checks that stop half way until they are let go on."""

    def __init__(self, muster: Muster) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self._real = muster.report_parts.checks.check_events
        checks = replace(muster.report_parts.checks, check_events=self._check)
        object.__setattr__(muster.report_parts, "checks", checks)

    async def _check(self, project_id: str) -> Any:
        self.reached.set()
        await self.go_on.wait()
        return await self._real(project_id)


class Deaf:
    """An engine that loses what it is given."""

    def __init__(self, *known: str) -> None:
        self.given, self._known = list[str](), set(known)

    async def submit(self, job: Job) -> None:
        self.given.append(job.id)

    async def cancel(self, job_id: str, reason: str) -> None:
        raise AssertionError(f"{job_id} is not to be cancelled: {reason}")

    async def known(self, job_ids: Any) -> set[str]:
        return self._known & set(job_ids)


async def row(muster: Muster, report_id: str) -> Report:
    async with muster.database.read() as session:
        return await session.get_one(Report, report_id)


async def put(muster: Muster, report_id: str, *, age_s: float = 0, **values: Any) -> None:
    moment = clock.now() - timedelta(seconds=age_s)
    async with muster.database.write() as session:
        statement = update(Report).where(Report.id == report_id)
        await session.execute(statement.values(updated_at=moment, **values))


def without_engine(muster: Muster, engine: Any) -> ReportParts:
    return replace(muster.report_parts, engine=engine)


async def parked(people: People, muster: Muster) -> Report:
    """Make a report that no engine knows."""
    real = muster.report_parts.engine
    object.__setattr__(muster.report_parts, "engine", Deaf())
    try:
        return await row(muster, (await ask(people.operator, **PERIOD))["id"])
    finally:
        object.__setattr__(muster.report_parts, "engine", real)


def context_of(report: Report, **values: Any) -> JobContext:
    job = Job(
        id=report.job_id,
        kind="report",
        payload={"report_id": report.id, "job": report.job},
        partition=report.project_id,
    )
    return JobContext(job=job, executor_id="here", recovered=False, **values)


async def events_of(client: httpx2.AsyncClient, report_id: str) -> list[str]:
    params = {"subject_id": report_id, "order": "asc"}
    items = (await client.get("/events", params=params)).json()["items"]
    return [event["type"] for event in items]


async def test_progress_is_told(people: People, working: Muster) -> None:
    held = Held(working)
    report = await ask(people.operator, **PERIOD)
    await held.reached.wait()
    shown = (await people.viewer.get(f"/reports/{report['id']}")).json()
    assert shown["status"] == "running"
    assert shown["phase"] in {"reading", "verifying"}
    assert shown["started_at"] is not None
    assert shown["completed_at"] is None
    answer = await people.viewer.get(f"/reports/{report['id']}/download")
    assert (answer.status_code, answer.json()["error"]) == (409, "report_not_ready")
    held.go_on.set()
    assert (await until(people.viewer, report["id"]))["status"] == "completed"


async def test_progress_never_goes_back(
    people: People, working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_TELL_EVERY_S", 0)
    told: list[tuple[str, int]] = []
    real = making.advance

    async def advance(session: Any, report: Report, **values: Any) -> bool:
        told.append((values["phase"], values["progress"]))
        return await real(session, report, **values)

    monkeypatch.setattr(making, "advance", advance)
    await add_steps(working, people.project_id, [call("m1", clock.now())])
    report = await ask(people.operator, **PERIOD)
    await until(people.viewer, report["id"])
    percents = [percent for _, percent in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    phases = list(dict.fromkeys(phase for phase, _ in told))
    assert phases == ["reading", "verifying", "rendering", "storing", "done"]


async def test_one_that_is_deleted_meanwhile_is_broken_off(people: People, working: Muster) -> None:
    held = Held(working)
    report = await ask(people.operator, **PERIOD)
    await held.reached.wait()
    assert (await people.operator.delete(f"/reports/{report['id']}")).status_code == 204
    assert working.running.engine is not None
    engine = working.running.engine
    await wait_until(lambda: not engine.active())
    assert await events_of(people.viewer, report["id"]) == ["report.requested", "report.deleted"]


async def test_two_that_make_the_same(people: People, working: Muster) -> None:
    """Whoever took it up last writes; the other one stops and leaves nothing behind."""
    report = await parked(people, working)
    held = Held(working)
    maker = ReportMaker(working.report_parts)
    first = asyncio.create_task(maker.handle(context_of(report)))
    await held.reached.wait()
    held.reached.clear()
    second = asyncio.create_task(maker.handle(context_of(report)))
    await held.reached.wait()
    held.go_on.set()
    await asyncio.gather(first, second)
    done = await row(working, report.id)
    assert (done.status, done.attempt) == ("completed", 2)
    assert await events_of(people.viewer, report.id) == ["report.requested", "report.completed"]
    file = await download(people.viewer, report.id)
    assert len(file.content) == done.size
    # Nothing is to be done for one that is completed.
    await maker.handle(context_of(report))
    assert (await row(working, report.id)).attempt == 2


async def test_superseded_at_the_last_moment(
    people: People, working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await parked(people, working)
    real = rendering.render
    made: list[bytes] = []

    async def render(document: Any, format: str) -> bytes:
        made.append(await real(document, format))
        return made[-1]

    async def put_away(digest: str, data: bytes) -> None:
        await put(working, report.id, attempt=7)
        await store(digest, data)

    files = working.report_parts.files
    store = files.put
    monkeypatch.setattr(rendering, "render", render)
    monkeypatch.setattr(files, "put", put_away)
    await ReportMaker(working.report_parts).handle(context_of(report))
    assert made
    assert (await row(working, report.id)).status == "running"
    with pytest.raises(FileNotFoundError):
        await files.get(sha256(made[0]).hexdigest())


async def test_an_error_is_told(
    people: People, working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def render(document: Any, format: str) -> bytes:
        raise RuntimeError("a secret of the machine")

    monkeypatch.setattr(rendering, "render", render)
    report = await until(people.viewer, (await ask(people.operator, **PERIOD))["id"])
    assert (report["status"], report["phase"], report["size"]) == ("failed", "failed", None)
    assert "server's log" in report["error"]
    assert "secret" not in report["error"]
    assert await events_of(people.viewer, report["id"]) == ["report.requested", "report.failed"]


async def test_one_that_ends_its_process_is_given_up(people: People, working: Muster) -> None:
    report = await parked(people, working)
    await put(working, report.id, status="running", attempt=making.MOST_ATTEMPTS)
    await ReportMaker(working.report_parts).handle(context_of(report))
    failed = await row(working, report.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "5 times" in failed.error


@pytest.mark.parametrize(("stop", "status"), [(Stop.TIMEOUT, "failed"), (Stop.LOST, "running")])
async def test_one_that_is_cancelled(
    people: People, working: Muster, stop: Stop, status: str
) -> None:
    report = await parked(people, working)
    held = Held(working)
    context = context_of(report, stop=stop)
    task = asyncio.create_task(ReportMaker(working.report_parts).handle(context))
    await held.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = await row(working, report.id)
    assert found.status == status
    assert (found.error is not None) == (status == "failed")


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_one_that_a_restart_cancels(people: People, working: Muster, status: str) -> None:
    report = await parked(people, working)
    await put(working, report.id, status=status, attempt=1 if status == "running" else 0)
    maker = ReportMaker(working.report_parts)
    for _ in range(2):
        await maker.lost(report.job_id, {"report_id": report.id, "job": report.job})
    failed = await row(working, report.id)
    assert (failed.status, failed.error) == (
        "failed",
        "The service was restarted while the report was made.",
    )
    await maker.lost("other", {"report_id": "gone", "job": 1})
    assert await events_of(people.viewer, report.id) == ["report.requested", "report.failed"]


async def test_forgotten_reports_are_found(people: People, working: Muster) -> None:
    report = await parked(people, working)
    engine = Deaf()
    dispatcher = ReportDispatcher(without_engine(working, engine))
    assert await dispatcher.once() == 0, "it may be submitted in this very moment"
    await put(working, report.id, age_s=10)
    known = ReportDispatcher(without_engine(working, Deaf(report.job_id)))
    assert await known.once() == 0
    assert await dispatcher.once() == 1
    assert engine.given == [f"report:{report.id}:2"]
    await put(working, report.id, age_s=20, status="running")
    assert await dispatcher.once() == 0, "it may still be at work"
    await put(working, report.id, age_s=60)
    assert await dispatcher.once() == 1
    again = await row(working, report.id)
    assert (again.status, again.job) == ("queued", 3)
    await put(working, report.id, age_s=10)
    assert await working.report_dispatcher.once() == 1
    assert (await until(people.viewer, report.id))["status"] == "completed"


async def test_the_dispatcher_goes_on_after_an_error(
    people: People, working: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await parked(people, working)
    await put(working, report.id, age_s=10)
    monkeypatch.setattr("muster.domains.insight.reports.dispatch._INTERVAL_S", 0.01)
    engine = Deaf()
    failures = [OSError("away")]

    async def known(job_ids: Any) -> set[str]:
        if failures:
            raise failures.pop()
        return set()

    monkeypatch.setattr(engine, "known", known)
    dispatcher = ReportDispatcher(without_engine(working, engine))
    async with AsyncExitStack() as stack:
        in_background(stack, dispatcher.run, "dispatcher")
        await wait_until(lambda: engine.given)
    assert not failures


Client = Callable[[Muster], Awaitable[People]]


@pytest.fixture
async def people_of() -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:

        async def find(muster: Muster) -> People:
            def connect(**headers: str) -> httpx2.AsyncClient:
                client = httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(muster.app, raise_app_exceptions=False),
                    base_url="http://muster.test/api/v1",
                    headers=headers,
                    timeout=60,
                )
                stack.push_async_callback(client.aclose)
                return client

            return signed_in(await find_accounts(muster), connect)

        yield find


async def test_a_restart_makes_it_anew(settings: Settings, people_of: Client) -> None:
    async with Muster(settings, engine="work") as first:
        await make_accounts(first)
        people = await people_of(first)
        held = Held(first)
        report = await ask(people.operator, **PERIOD)
        await held.reached.wait()
        assert first.running.engine is not None
        await first.running.engine.stop(grace_s=0)
        assert (await row(first, report["id"])).status == "running"
    async with Muster(settings, engine="work") as second:
        people = await people_of(second)
        done = await until(people.viewer, report["id"])
        assert done["status"] == "completed"
        assert (await row(second, report["id"])).attempt == 2
        types = await events_of(people.viewer, report["id"])
        assert types == ["report.requested", "report.completed"]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Any:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.mark.durability
async def test_killed_in_the_middle(
    settings: Settings, people_of: Client, nursery: Nursery
) -> None:
    """`kill -9` of the process that makes it; another one makes the same of it."""
    async with Muster(settings, engine="submit") as control:
        await make_accounts(control)
        people = await people_of(control)
        at = clock.now()
        for number in range(60):
            steps = [call(f"m{n}", at - timedelta(seconds=n)) for n in range(1, 12)]
            await add_steps(control, people.project_id, steps, name=f"Run {number}")
        workers = Workers(nursery, settings)
        try:
            worker = await workers.start()
            report = await ask(people.operator, **PERIOD)
            # Looked at in the database: an answer over HTTP would come too late.
            while (await row(control, report["id"])).status == "queued":
                await asyncio.sleep(0.001)
            await worker.kill()
            left = await row(control, report["id"])
            assert left.status == "running", "it was made before it was killed"
            await workers.start()
            done = await until(people.viewer, report["id"])
        finally:
            await workers.close()
        assert done["status"] == "completed"
        assert (await row(control, report["id"])).attempt == 2
        assert (await events_of(people.viewer, report["id"])) == [
            "report.requested",
            "report.completed",
        ]
        plain = (await download(people.viewer, report["id"])).json()
        assert (plain["summary"]["runs"], plain["summary"]["steps"]) == (60, 660)
        assert plain["integrity"]["runs_valid"] == 60


async def test_a_process_without_engine_leaves_it(
    people: People, working: Muster, settings: Settings, people_of: Client
) -> None:
    async with Muster(settings, engine="off") as other:
        asking = await people_of(other)
        report = await ask(asking.operator, **PERIOD)
        assert (await row(other, report["id"])).status == "queued"
        await put(working, report["id"], age_s=10)
        await working.report_dispatcher.once()
        done = await until(asking.operator, report["id"])
    assert done["status"] == "completed"
    async with working.database.read() as session:
        assert len((await session.scalars(select(Report))).all()) == 1
