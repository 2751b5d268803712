"""Health and metrics: open to everyone, bounded in time, silent about the inside."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

import muster.platform.system.health as health_module
from muster import __version__
from muster.engine import ExecutorInfo
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.system import Health

pytestmark = pytest.mark.anyio


class Executors:
    """Stands where the engine stands."""

    def __init__(self, count: int, *, broken: bool = False) -> None:
        self.count, self.broken = count, broken

    async def executors(self) -> Sequence[ExecutorInfo]:
        if self.broken:
            raise ConnectionRefusedError
        now = clock.now()
        return [
            ExecutorInfo(str(n), "secret-host", 1, "1", 16, now, now, n == 0)
            for n in range(self.count)
        ]

    def active(self) -> Sequence[str]:
        return ["job"]


@pytest.mark.parametrize("path", ["/health", "/api/v1/health", "/v1/health", "/health/"])
async def test_everyone_may_ask_how_it_is(anonymous: httpx2.AsyncClient, path: str) -> None:
    answer = await anonymous.get(f"http://muster.test{path}")

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert body["reason"] is None
    assert (body["service"], body["version"]) == ("muster", __version__)
    assert body["uptime_seconds"] >= 0
    assert body["timestamp"].endswith("Z")
    assert body["engine"] is None
    database = body["database"]
    assert database["status"] == "up"
    assert database["dialect"] in {"sqlite", "postgresql"}
    assert database["latency_ms"] > 0
    system = body["system"]
    for name in ("cpu_percent", "memory_percent", "disk_percent"):
        assert 0 <= system[name] <= 100
    assert system["process_memory_mb"] > 10
    assert system["process_threads"] >= 1
    assert system["cpu_count"] >= 1


async def test_health_says_nothing_about_the_inside(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    muster.app.state.health = Health(muster.database, muster.settings.data_dir, Executors(2))

    for path in ("/health", "/metrics"):
        text = (await anonymous.get(path)).text
        for inside in (
            socket.gethostname(),
            "secret-host",
            str(muster.settings.data_dir),
            str(Path.cwd()),
            muster.database.url.database or "no database",
        ):
            assert inside not in text


async def test_the_engine_is_told_of(muster: Muster, tmp_path: Path) -> None:
    report = await Health(muster.database, tmp_path, Executors(2)).report()

    assert report.status == "healthy"
    assert report.engine is not None
    assert report.engine.model_dump() == {
        "status": "up",
        "executors": 2,
        "capacity": 32,
        "active_jobs": 1,
    }


@pytest.mark.parametrize(
    ("executors", "status"), [(Executors(0), "idle"), (Executors(1, broken=True), "down")]
)
async def test_without_executors_it_is_degraded(
    muster: Muster, anonymous: httpx2.AsyncClient, executors: Executors, status: str
) -> None:
    muster.app.state.health = Health(muster.database, muster.settings.data_dir, executors)

    answer = await anonymous.get("/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert "No process executes runs" in answer.json()["reason"]
    assert answer.json()["engine"]["status"] == status


async def test_a_database_that_refuses_is_unhealthy(
    muster: Muster, anonymous: httpx2.AsyncClient
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        database = Database(f"postgresql+asyncpg://somebody:secret@127.0.0.1:{port}/somewhere")
        muster.app.state.health = Health(database, muster.settings.data_dir)
        answer = await anonymous.get("/health")
        await database.dispose()

    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unhealthy"
    assert body["reason"] == "The database does not answer."
    assert body["database"] == {"status": "down", "dialect": "postgresql", "latency_ms": None}
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text
    assert "127.0.0.1" not in answer.text


async def test_a_database_that_is_silent_is_unhealthy_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "PROBE_S", 0.1)
    connections: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql+asyncpg://somebody@127.0.0.1:{port}/somewhere")
    health = Health(database, tmp_path)
    reports = await asyncio.gather(*(health.report() for _ in range(20)))
    again = await health.report()
    await health.close()
    await database.dispose()
    for writer in connections:
        writer.close()
    server.close()

    assert {report.status for report in [*reports, again]} == {"unhealthy"}
    assert len(connections) == 1


async def test_a_database_that_comes_back_is_healthy_again(
    muster: Muster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "PROBE_S", 0.2)
    health = Health(muster.database, tmp_path)
    read, may_go = muster.database.read, asyncio.Event()

    @asynccontextmanager
    async def stuck() -> AsyncGenerator[None]:
        await may_go.wait()
        yield  # to somebody who cannot use it

    monkeypatch.setattr(muster.database, "read", stuck)
    assert (await health.report()).status == "unhealthy"
    may_go.set()
    monkeypatch.setattr(muster.database, "read", read)
    monkeypatch.setattr(health_module, "PROBE_S", 5.0)
    # The late answer to the first question says nothing about now.
    async with asyncio.timeout(10):
        while (await health.report()).status != "healthy":
            await asyncio.sleep(0.01)


async def test_readings_are_shared_for_a_moment(muster: Muster) -> None:
    first, second = await asyncio.gather(muster.health.report(), muster.health.report())

    assert first.system == second.system


async def test_a_data_folder_that_is_not_there_yet_is_on_a_disk_all_the_same(
    muster: Muster, tmp_path: Path
) -> None:
    report = await Health(muster.database, tmp_path / "not" / "there").report()

    assert report.system.disk_free_mb > 0


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/metrics", "/v1/metrics"])
async def test_metrics_are_in_the_format_of_prometheus(
    anonymous: httpx2.AsyncClient, path: str
) -> None:
    await anonymous.get("http://muster.test/health")
    answer = await anonymous.get(f"http://muster.test{path}")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE muster_http_requests_total counter" in answer.text
    assert 'muster_http_requests_total{method="GET",route="/health",status="200"}' in answer.text


@pytest.mark.parametrize("path", ["/health", "/metrics"])
async def test_monitors_can_change_nothing(anonymous: httpx2.AsyncClient, path: str) -> None:
    assert (await anonymous.post(path)).status_code == 405


def test_the_reference_names_each_operation_once(settings: Any) -> None:
    paths = Muster(settings, engine="off").app.openapi()["paths"]

    assert {"/api/v1/health", "/api/v1/metrics"} <= set(paths)
    assert not {"/health", "/metrics"} & set(paths)
