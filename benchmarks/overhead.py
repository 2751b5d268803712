"""What a run costs beyond the model calls it makes, beside what peers take."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2

from benchmarks.context import Context
from benchmarks.databases import fresh_database
from benchmarks.figures import Report, less_than
from benchmarks.handlers import Handlers, watched_handlers
from benchmarks.peers import PEERS, Peer, PeerFailed, RunningPeer, prepare_peers
from benchmarks.processes import ModelServer, model_server_process
from benchmarks.product import Product, product, provider
from benchmarks.timing import fit_line, median, percentile

_MODEL_STEPS = (1, 3, 6)
_PROMPT = "What is 6*7?"
_WARM_UP = 3
_RUN_BAR, _STEP_BAR = less_than(15), less_than(8)
_HOW = (
    "Runs of an agent with a calculator, one after the other, against a scripted model server in a "
    "process of its own: with 1, 3 and 6 model calls and a call of the calculator between two of "
    "them, on SQLite with journal, gate and durable engine. A run is timed from sending `POST "
    "/executions` to the commit of its end. The bare calls are the very bodies that the run sent, "
    "sent again by httpx2 over a kept connection with the answer read to its end, after each run. "
    "Overhead is the difference; a line fitted through the three medians divides it into what each "
    "run costs and what each model call, with the tool call before it, adds. Computing is the CPU "
    "time of the process, which other programs on the machine disturb less. Peers take turns with "
    "Muster; they are timed from starting an agent to its answer, without journal, gate or "
    "durability, against the bare calls of their own bodies."
)


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds that something took, and how many of them the process computed."""

    ms: float
    cpu_ms: float


class Subject(Protocol):
    """What runs an agent."""

    title: str

    async def run(self) -> Taken:
        """Let the agent answer the prompt once."""
        ...


@dataclass(slots=True)
class Times:
    """Runs with one number of model calls, and the same calls made barely; `bodies` are these."""

    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    runs: list[Taken] = field(default_factory=list[Taken])
    bare: list[Taken] = field(default_factory=list[Taken])

    def overhead(self, percent: float) -> float:
        """Return the overhead of a run at a percentile; the bare calls count by their median."""
        return percentile([t.ms for t in self.runs], percent) - median(t.ms for t in self.bare)

    def computing(self) -> float:
        """Return the median of what a run computes beyond its bare calls."""
        return median(t.cpu_ms for t in self.runs) - median(t.cpu_ms for t in self.bare)


Found = dict[int, Times]


async def measure(context: Context) -> Report:
    """Measure the overhead."""
    report = Report(name="overhead", title="Overhead over bare model calls", how=_HOW)
    missing = await asyncio.to_thread(prepare_peers, context)
    for peer in PEERS:
        if peer.name in missing:
            report.notes.append(f"{peer.title}: not installed: run with --with-peers")
    with context.scratch() as folder:
        async with model_server_process(folder) as server:
            installed = [peer for peer in PEERS if peer.name not in missing]
            await _measure_all(context, report, server, folder, installed)
    return report


async def _measure_all(
    context: Context, report: Report, server: ModelServer, folder: Path, peers: list[Peer]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(provider(server.base_url))
        handlers = stack.enter_context(watched_handlers())
        url = await stack.enter_async_context(fresh_database("sqlite", folder))
        assembled = await stack.enter_async_context(product(url, folder, engine="work"))
        muster = MusterSubject(assembled, handlers, await _make_agent(assembled.client))
        measuring = Measuring(context, server, await stack.enter_async_context(_client()))
        found = {muster.title: await measuring.prepare(muster)}
        others: dict[str, tuple[Peer, RunningPeer]] = {}
        for peer in peers:
            try:
                other = stack.enter_context(RunningPeer.started(peer, server.base_url, folder))
                found[other.title] = await measuring.prepare(PeerSubject(other))
                others[other.title] = (peer, other)
            except PeerFailed as failure:
                report.notes.append(f"{peer.title}: {failure}")
        subjects: list[Subject] = [muster, *(PeerSubject(other) for _, other in others.values())]
        for number in range(_WARM_UP + context.pick(100, 20, 1)):
            if number % 10 == _WARM_UP:
                context.say(f"round {number - _WARM_UP + 1}")
            keep = number >= _WARM_UP
            await measuring.take_turns(subjects, found, keep=keep)
            if not keep:
                muster.starts.clear()
    ours = found.pop(muster.title)
    _tell(report, ours, muster.starts)
    for title, times in found.items():
        _tell_of_peer(report, title, times, ours, is_bar=others[title][0].is_bar)


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=60)


class MusterSubject:
    """The product in this process, asked through its API."""

    title = "Muster"

    def __init__(self, muster: Product, handlers: Handlers, agent_id: str) -> None:
        self._muster, self._handlers = muster, handlers
        self._body = {"agent_id": agent_id, "inputs": {"prompt": _PROMPT}}
        self.starts: list[float] = []
        """Milliseconds from asking for a run to the begin of its handler."""

    async def run(self) -> Taken:
        """Execute a run, from asking for it to its end."""
        cpu, asked = time.process_time(), time.perf_counter()
        answer = await self._muster.client.post("/executions", json=self._body)
        run_id: str = answer.raise_for_status().json()["execution_id"]
        begun, ended = await self._handlers.ended(run_id)
        cpu = time.process_time() - cpu
        self.starts.append((begun - asked) * 1000)
        found = (await self._muster.client.get(f"/executions/{run_id}")).json()
        if found["status"] != "completed":
            raise AssertionError(f"the run {found['status']}: {found['error']}")
        return Taken((ended - asked) * 1000, cpu * 1000)


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
    return str(answer.raise_for_status().json()["id"])


class PeerSubject:
    """A peer in a process of its own."""

    def __init__(self, peer: RunningPeer) -> None:
        self._peer, self.title = peer, peer.title

    async def run(self) -> Taken:
        """Let the peer answer once."""
        return Taken(*await asyncio.to_thread(self._peer.answer, _PROMPT))


class Measuring:
    """Lets subjects take turns, each followed by the bare calls of its own bodies."""

    def __init__(self, context: Context, server: ModelServer, client: httpx2.AsyncClient) -> None:
        self._context, self._server, self._client = context, server, client

    async def prepare(self, subject: Subject) -> Found:
        """Let a subject run once at each length, to see what it asks."""
        self._context.say(subject.title)
        found: Found = {}
        for calls in _MODEL_STEPS:
            await self._script(calls)
            await subject.run()
            bodies = await self._server.bodies()
            if len(bodies) != calls:
                raise PeerFailed(f"it made {len(bodies)} model calls instead of {calls}")
            found[calls] = Times(bodies)
        return found

    async def take_turns(
        self, subjects: list[Subject], found: dict[str, Found], *, keep: bool
    ) -> None:
        """Measure one run of each length of each subject."""
        for calls in _MODEL_STEPS:
            await self._script(calls)
            for subject in subjects:
                times = found[subject.title][calls]
                taken, by_hand = await subject.run(), await self._call(times.bodies)
                if keep:
                    times.runs.append(taken)
                    times.bare.append(by_hand)

    async def _script(self, calls: int) -> None:
        """Let the model ask for a sum each time before its last answer."""
        sums = [
            {"tool_calls": [{"name": "calculator", "arguments": {"expression": f"{n}+{n}"}}]}
            for n in range(1, calls)
        ]
        await self._server.answer_by_turn([*sums, {"text": "It is 42."}])

    async def _call(self, bodies: list[dict[str, Any]]) -> Taken:
        """Make model calls and nothing else."""
        cpu, begun = time.process_time(), time.perf_counter()
        for body in bodies:
            address = f"{self._server.base_url}/chat/completions"
            async with self._client.stream("POST", address, json=body) as answer:
                answer.raise_for_status()
                async for _ in answer.aiter_bytes():
                    pass
        elapsed = time.perf_counter() - begun
        return Taken(elapsed * 1000, (time.process_time() - cpu) * 1000)


def _fitted(found: Found) -> tuple[float, float]:
    """Return the overhead of a run and of a model call, from runs of several lengths."""
    return fit_line([(calls, times.overhead(50)) for calls, times in found.items()])


def _named(calls: int) -> str:
    return f"run of {calls} model call{'s' if calls > 1 else ''}"


def _tell(report: Report, found: Found, starts: list[float]) -> None:
    for calls, times in found.items():
        report.add(f"{_named(calls)}, p50", median(t.ms for t in times.runs), "ms")
        report.add(f"{_named(calls)}, bare calls p50", median(t.ms for t in times.bare), "ms")
        report.add(f"{_named(calls)}, overhead p50", times.overhead(50), "ms")
        report.add(f"{_named(calls)}, overhead p95", times.overhead(95), "ms")
    per_run, per_step = _fitted(found)
    report.add("overhead of a run, p50", per_run, "ms", _RUN_BAR)
    report.add("overhead of a model step, p50", per_step, "ms", _STEP_BAR)
    computing = fit_line([(calls, times.computing()) for calls, times in found.items()])
    report.add("computing of a run, p50", computing[0], "ms")
    report.add("computing of a model step, p50", computing[1], "ms")
    report.add("from the request to the handler's begin, p50", percentile(starts, 50), "ms")
    report.add("from the request to the handler's begin, p99", percentile(starts, 99), "ms")


def _tell_of_peer(report: Report, title: str, found: Found, ours: Found, *, is_bar: bool) -> None:
    per_run, per_step = _fitted(found)
    longest = max(found)
    its = found[longest].overhead(50)
    report.add(f"{title}, overhead of a run, p50", per_run, "ms")
    report.add(f"{title}, overhead of a model step, p50", per_step, "ms")
    report.add(f"{title}, {_named(longest)}, overhead p50", its, "ms")
    bar = less_than(1) if is_bar else None
    report.add(
        f"Muster to {title}, overhead, {_named(longest)}",
        ours[longest].overhead(50) / its,
        "times",
        bar,
    )
