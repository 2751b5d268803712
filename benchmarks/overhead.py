"""What a run costs beyond the model calls it makes, beside what peers take."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, at_most
from benchmarks.peers import PEERS, Peer, PeerFailed, peer_times, prepare_peers
from benchmarks.processes import ModelServer, model_server_process
from benchmarks.product import Product, product, provider
from benchmarks.timing import fit_line, median, percentile
from muster.domains.work.journal import ACTIVE, run_topic
from muster.domains.work.runs import RunExecutor
from muster.engine import JobContext

_MODEL_STEPS = (1, 3, 6)
_PROMPT = "What is 6*7?"
_WARM_UP = 3
_ACTIVE = {status.value for status in ACTIVE}
_HOW = (
    "Runs of an agent with a calculator, one after the other, against a scripted model server in a "
    "process of its own: with 1, 3 and 6 model calls and a call of the calculator between two of "
    "them, on SQLite with journal, gate and durable engine. A run is timed from sending `POST "
    "/executions` to the commit of its end. The bare calls are the very bodies that the run sent, "
    "sent again by httpx2 over a kept connection with the streamed answer read to its end, in turn "
    "with the runs. Overhead is the difference; a line fitted through the three medians divides it "
    "into what each run costs and what each model call, with the tool call before it, adds. Peers "
    "are timed from starting an agent to its answer, without durability, journal or gate."
)


@dataclass(slots=True)
class _Times:
    """Milliseconds of runs with one number of model calls, and of the same calls made barely."""

    runs: list[float] = field(default_factory=list[float])
    bare: list[float] = field(default_factory=list[float])

    def overhead(self, percent: float) -> float:
        """Return the overhead of a run at a percentile; the bare calls count by their median."""
        return percentile(self.runs, percent) - median(self.bare)


async def measure(context: Context) -> Report:
    """Measure the overhead."""
    report = Report(name="overhead", title="Overhead over bare model calls", how=_HOW)
    with context.scratch() as folder:
        async with model_server_process(folder) as server:
            with provider(server.base_url):
                async with (
                    fresh_database("sqlite", folder) as url,
                    product(url, folder, engine="work") as muster,
                ):
                    per_run, per_step = await _measure_muster(context, report, server, muster)
            await _measure_peers(context, report, server, per_run, per_step)
    return report


async def _measure_muster(
    context: Context, report: Report, server: ModelServer, muster: Product
) -> tuple[float, float]:
    agent_id = await _make_agent(muster.client)
    found: dict[int, _Times] = {}
    starts = _Starts()
    async with httpx2.AsyncClient() as bare:
        for calls in _MODEL_STEPS:
            context.say(f"runs of {calls} model calls")
            times = found[calls] = _Times()
            await server.call_tools(calls - 1)
            await _run(muster, agent_id)
            bodies = await server.bodies()
            assert len(bodies) == calls, f"expected {calls} model calls, saw {len(bodies)}"
            for number in range(_WARM_UP + context.pick(100, 30, 2)):
                with starts.watched(keep=number >= _WARM_UP):
                    elapsed = await _run(muster, agent_id)
                by_hand = await _call(bare, server, bodies)
                if number >= _WARM_UP:
                    times.runs.append(elapsed)
                    times.bare.append(by_hand)
    for calls, times in found.items():
        name = f"run of {calls} model call{'s' if calls > 1 else ''}"
        report.add(f"{name}, p50", percentile(times.runs, 50), "ms")
        report.add(f"{name}, bare calls, p50", percentile(times.bare, 50), "ms")
        report.add(f"{name}, overhead p50", times.overhead(50), "ms")
        report.add(f"{name}, overhead p95", times.overhead(95), "ms")
    per_run, per_step = _fitted(found)
    report.add("overhead of a run, p50", per_run, "ms", at_most(15))
    report.add("overhead of a model step and the tool step before it, p50", per_step, "ms", _STEP)
    report.add("from the request to the handler's start, p50", percentile(starts.ms, 50), "ms")
    report.add("from the request to the handler's start, p99", percentile(starts.ms, 99), "ms")
    return per_run, per_step


_STEP = at_most(8)


def _fitted(found: dict[int, _Times]) -> tuple[float, float]:
    """Return overhead of a run and of a model call, from runs of several lengths.

    The first model call has no tool call before it, so that a run's share is what is left when no
    more calls are added: the line at one call, less one call's share.
    """
    return fit_line([(calls, times.overhead(50)) for calls, times in found.items()])


async def _make_agent(client: httpx2.AsyncClient) -> str:
    body = {
        "name": "Calculating agent",
        "role": "Calculator",
        "goal": "Answer questions about numbers",
        "backstory": "You are careful.",
        "llm": "openai/scripted-large",
        "tools": ["calculator"],
    }
    answer = await client.post("/agents", json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _run(muster: Product, agent_id: str) -> float:
    """Execute a run; return the milliseconds from asking for it to its end."""
    body = {"agent_id": agent_id, "inputs": {"prompt": _PROMPT}}
    live = muster.muster.live
    begun = time.perf_counter()
    answer = await muster.client.post("/executions", json=body)
    answer.raise_for_status()
    run_id = answer.json()["execution_id"]
    async with live.subscribe(run_topic(run_id)) as messages:
        # It may have ended before anybody listened, if ever the engine is that fast.
        shown = None
        while shown is None:
            message = await messages.get(timeout_s=5)
            status = (message or {}).get("status")
            if message is None:
                status = (await muster.client.get(f"/executions/{run_id}")).json()["status"]
            shown = status if status and status not in _ACTIVE else None
    elapsed = (time.perf_counter() - begun) * 1000
    if shown != "completed":
        raise AssertionError((await muster.client.get(f"/executions/{run_id}")).text)
    return elapsed


async def _call(client: httpx2.AsyncClient, server: ModelServer, bodies: list[Any]) -> float:
    """Make the same model calls without anything else; return the milliseconds they took."""
    begun = time.perf_counter()
    for body in bodies:
        address = f"{server.base_url}/chat/completions"
        async with client.stream("POST", address, json=body) as answer:
            answer.raise_for_status()
            async for _ in answer.aiter_lines():
                pass
    return (time.perf_counter() - begun) * 1000


class _Starts:
    """When handlers of runs start, against when the runs were asked for."""

    def __init__(self) -> None:
        self.ms: list[float] = []

    def watched(self, *, keep: bool) -> "_Watch":
        return _Watch(self.ms if keep else [])


class _Watch:
    """Notes the time from entering the block to the first start of a handler in it."""

    def __init__(self, times: list[float]) -> None:
        self._times = times

    def __enter__(self) -> None:
        begun, times = time.perf_counter(), self._times
        self._original = original = RunExecutor.handle

        async def handle(executor: RunExecutor, job: JobContext) -> None:
            times.append((time.perf_counter() - begun) * 1000)
            await original(executor, job)

        RunExecutor.handle = handle

    def __exit__(self, *_: object) -> None:
        RunExecutor.handle = self._original


async def _measure_peers(
    context: Context, report: Report, server: ModelServer, per_run: float, per_step: float
) -> None:
    missing = await asyncio.to_thread(prepare_peers, context)
    for peer in PEERS:
        if peer.name in missing:
            report.notes.append(f"{peer.title}: not installed: run with --with-peers")
            continue
        try:
            found = await _peer(context, server, peer)
        except PeerFailed as failure:
            report.notes.append(f"{peer.title}: {failure}")
            continue
        its_run, its_step = _fitted(found)
        for calls, times in found.items():
            name = f"{peer.title}, {calls} model call{'s' if calls > 1 else ''}"
            report.add(f"{name}, overhead p50", times.overhead(50), "ms")
        report.add(f"{peer.title}, overhead of a run, p50", its_run, "ms")
        report.add(f"{peer.title}, overhead of a model step, p50", its_step, "ms")
        longest = _MODEL_STEPS[-1]
        ours, its = per_run + longest * per_step, its_run + longest * its_step
        bar = at_most(1) if peer.is_bar else None
        report.add(f"Muster to {peer.title}, run of {longest} model calls", ours / its, "times", bar)


async def _peer(context: Context, server: ModelServer, peer: Peer) -> dict[int, _Times]:
    found: dict[int, _Times] = {}
    count = context.pick(30, 10, 2)
    async with httpx2.AsyncClient() as bare:
        for calls in _MODEL_STEPS:
            context.say(f"{peer.title}, {calls} model calls")
            await server.call_tools(calls - 1)
            runs = await asyncio.to_thread(peer_times, peer, server.base_url, _PROMPT, count)
            bodies = await server.bodies()
            if len(bodies) < calls * count:
                raise PeerFailed(f"made {len(bodies)} model calls instead of {calls * count}")
            last = bodies[-calls:]
            by_hand = [await _call(bare, server, last) for _ in range(count)]
            found[calls] = _Times(runs[_WARM_UP:] or runs, by_hand)
    return found

