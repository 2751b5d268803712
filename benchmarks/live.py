"""Whether live events reach everybody, and how fast."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import httpx2
import msgspec

from benchmarks.context import Context
from benchmarks.figures import Report, less_than, none_at_all
from benchmarks.processes import PASSWORD, Server, muster_server
from benchmarks.subscribers import Subscriber, subscribe
from benchmarks.timing import percentile

_EVENT = "agent.created"
_PACE_S = 0.05
_AT_ONCE = 25
_PATIENCE_S = 60.0
_HOW = (
    "`muster serve` in a process of its own; the subscribers, in one other process, follow "
    "`WS /api/v1/ws`. Events are agents that are made through the API: first twenty a second, then "
    "as fast as the server answers one client. A latency is from the time in the event, before its "
    "commit, to its arrival; lost is what did not arrive, or came twice or out of order."
)


async def measure(context: Context) -> Report:
    """Measure live events."""
    report = Report(name="live", title="Live events", how=_HOW)
    subscribers, events = context.pick(500, 500, 10), context.pick(100, 100, 5)
    with context.scratch() as scratch, muster_server(scratch / "data") as server:
        await asyncio.to_thread(server.wait_for_answer)
        async with _signed_in(server) as client, _following(server, client, subscribers) as clients:
            for name, pace_s in (("twenty a second", _PACE_S), ("as fast as can be", 0.0)):
                context.say(f"{subscribers} subscribers, {events} events, {name}")
                await _cause(client, events, pace_s)
                await _arrived(clients, events)
                what = f"{events} events to {subscribers} subscribers, {name}"
                _tell(report, what, clients, events)
        report.add("memory of the server", server.memory_mb(), "MB")
    return report


@contextlib.asynccontextmanager
async def _signed_in(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{server.base_url}/api/v1", timeout=60) as client:
        body = {"email": "admin@muster.local", "password": PASSWORD}
        answer = await client.post("/auth/login", json=body)
        token: str = answer.raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@contextlib.asynccontextmanager
async def _following(
    server: Server, client: httpx2.AsyncClient, count: int
) -> AsyncIterator[Sequence[Subscriber]]:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    few = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Subscriber:
        async with few:
            return await subscribe(server.port, "/api/v1/ws", token, [_EVENT])

    clients = await asyncio.gather(*(one() for _ in range(count)))
    try:
        yield clients
    finally:
        for subscriber in clients:
            subscriber.close()


async def _cause(client: httpx2.AsyncClient, events: int, pace_s: float) -> None:
    due = time.perf_counter()
    for number in range(events):
        body = {"name": f"Agent {time.time_ns()}-{number}"}
        (await client.post("/agents", json=body)).raise_for_status()
        due += pace_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _arrived(clients: Sequence[Subscriber], events: int) -> None:
    """Wait until everybody has everything, or until nothing more can be hoped for."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while any(len(client.messages) < events for client in clients):
                await asyncio.sleep(0.02)


def _tell(report: Report, what: str, clients: Sequence[Subscriber], events: int) -> None:
    latencies: list[float] = []
    lost = 0
    for client in clients:
        numbers: list[int] = []
        for at, payload in client.messages:
            message = msgspec.json.decode(payload)
            caused = datetime.fromisoformat(message["timestamp"]).timestamp()
            latencies.append((at - caused) * 1000)
            numbers.append(message["seq"])
        in_order = numbers == sorted(set(numbers)) and len(numbers) == events
        lost += 0 if in_order else max(1, abs(events - len(set(numbers))))
        client.messages.clear()
    report.add(f"{what}: lost", lost, "messages", none_at_all())
    if latencies:
        report.add(f"{what}: p50", percentile(latencies, 50), "ms")
        report.add(f"{what}: p99", percentile(latencies, 99), "ms", less_than(500))
