"""Plans that are killed: started often, answered, interrupted at their boundaries, compared."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from muster.domains.control.approvals import Approval
from muster.domains.work.journal import Run, Step, StepKind, StepStatus
from tests.durability.halting import When, halt, halted, named
from tests.durability.servers import LABEL
from tests.durability.workers import PATIENCE_S, Worker, is_alive
from tests.durability.world import World
from tests.work.driving import FINAL

MODEL = "openai/scripted-large"
Body = Callable[[str], dict[str, Any]]
"""From the name of a run to what is started. Its labels are the name and one letter."""
Calls = Counter[tuple[str, str]]
"""Calls of the servers, by label and part."""

_VARIES = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
)
"""Ids and moments are others in each run."""


@dataclass(slots=True)
class Case:
    """A run, where it stands still, and which calls of it the kills have wasted."""

    id: str
    name: str
    when: When = "after"
    facts: tuple[int, ...] = ()
    wasted: Calls = field(default_factory=Calls)

    def shared(self, calls: Calls) -> Calls:
        """Return calls as they are called in every run of the plan."""
        return Calls(
            {(label.replace(self.name, "*"), part): n for (label, part), n in calls.items()}
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """A run and those that it started, by their place in the plan."""

    status: str
    facts: int
    runs: dict[str, str]
    asks: list[str]
    """Questions that wait for an answer."""


@dataclass(frozen=True, slots=True)
class Came:
    """What a run came to: all that must be the same however often it was interrupted."""

    status: str
    result: Any
    steps: dict[tuple[str, str], Any]
    questions: list[Any]
    calls: Calls

    @property
    def facts(self) -> int:
        return len(self.steps) + len(self.questions)


class Plans:
    """Runs of plans in a world whose workers can let them stand still."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = Path(world.control.settings.data_dir) / "halts"
        self.folder.mkdir()
        self._log = world.workers.nursery.log
        self._logged = self._log.stat().st_size
        self._names = count()

    @property
    def is_sqlite(self) -> bool:
        return self.world.control.database.is_sqlite

    def new_name(self, kind: str) -> str:
        return f"{kind}{next(self._names)}"

    async def worker(self) -> Worker:
        return await self.world.workers.start(
            MUSTER_TEST_HALTS=str(self.folder), MUSTER_RUNS_CONCURRENCY="500"
        )

    async def begin(
        self, body: Body, name: str, when: When = "after", facts: Sequence[int] = ()
    ) -> Case:
        """Start a run that stands still at these facts."""
        given = {**body(name), "run_name": named(name, when, facts) if facts else name}
        answer = await self.world.people.operator.post("/executions", json=given)
        assert answer.status_code == 201, answer.text
        return Case(answer.json()["execution_id"], name, when, tuple(facts))

    # -- how far they are -------------------------------------------------------------------------

    async def trees(self) -> dict[str, Tree]:
        """Return all runs that were started, by id."""
        async with self.world.control.database.read() as session:
            columns = (Run.id, Run.parent_run_id, Run.parent_key, Run.status, Run.head_seq)
            rows = (await session.execute(select(*columns).order_by(Run.created_at))).all()
            asked = (
                await session.execute(select(Approval.id, Approval.run_id, Approval.status))
            ).all()
        places: dict[str, tuple[str, str]] = {}
        found: dict[str, Tree] = {}
        for id_, parent, key, status, steps in rows:
            root, place = places[parent] if parent else (id_, "")
            places[id_] = root, f"{place}/{key}" if parent else ""
            tree = found.setdefault(root, Tree(status, 0, {}, []))
            tree.runs[id_] = places[id_][1]
            found[root] = Tree(tree.status, tree.facts + steps, tree.runs, tree.asks)
        for id_, run_id, status in asked:
            tree = found[root := places[run_id or ""][0]]
            asks = [*tree.asks, id_] if status == "pending" else tree.asks
            found[root] = Tree(tree.status, tree.facts + 1, tree.runs, asks)
        return found

    def _limit(self, case: Case) -> int | None:
        """Return at which fact the run stands still next."""
        number = len([pid for pid in halted(self.folder, case.id) if not is_alive(pid)])
        return case.facts[number] if number < len(case.facts) else None

    def _is_due(self, case: Case, tree: Tree) -> bool:
        limit = self._limit(case)
        return limit is not None and tree.facts >= limit

    def _waits(self, case: Case, tree: Tree) -> bool:
        """Tell whether people are to answer only when a process has been killed."""
        return tree.status == "waiting_for_approval" and self._is_due(case, tree)

    def _stands(self, case: Case, tree: Tree) -> bool:
        """Tell whether the run has ended, or goes no further before a process is killed."""
        if any(map(is_alive, halted(self.folder, case.id))):
            return True
        if tree.status in FINAL:
            return case.when == "before" or not self._is_due(case, tree)
        return self._waits(case, tree)

    async def settle(self, cases: Iterable[Case]) -> None:
        """Answer what the runs ask, until each of them has ended or stands still."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            trees = await self.trees()
            left = [case for case in cases if not self._stands(case, trees[case.id])]
            if not left:
                return
            for case in left:
                if not self._is_due(case, trees[case.id]):
                    for question in trees[case.id].asks:
                        await self.answer(question)
            told = [(case.name, trees[case.id]) for case in left]
            assert time.monotonic() < deadline, f"{told}; {self.world.workers.nursery.said()}"
            await asyncio.sleep(0.05)

    async def answer(self, question: str) -> None:
        """Say yes, as people do, and give what is asked for; a second yes has no effect."""
        operator, path = self.world.people.operator, f"/approvals/{question}"
        asked = (await operator.get(path)).json()
        body = {"arguments": {"who": "Ada"}} if asked["kind"] == "input" else {}
        answer = await operator.post(f"{path}/approve", json=body)
        assert answer.status_code == 200, answer.text
        again = await operator.post(f"{path}/approve", json=body)
        assert (again.status_code, again.json()["error"]) == (409, "approval_decided")

    # -- kills ------------------------------------------------------------------------------------

    async def interrupt(self, workers: list[Worker], cases: Sequence[Case]) -> int:
        """Kill one worker after the other until all runs have ended; returns how many were hit.

        Where there are others, one of them takes over before a new one is started.
        """
        await self.settle(cases)
        hits = 0
        while await self._at_work(cases):
            hits += await self._kill(workers.pop(0), cases)
            if workers:
                await self.settle(cases)
            workers.append(await self.worker())
            await self.settle(cases)
        self._require_quiet()
        return hits

    async def _at_work(self, cases: Iterable[Case]) -> bool:
        """Tell whether a process has to be killed before all of the runs can come to their ends."""
        trees = await self.trees()
        return any(
            trees[case.id].status not in FINAL or any(map(is_alive, halted(self.folder, case.id)))
            for case in cases
        )

    async def _kill(self, worker: Worker, cases: Iterable[Case]) -> int:
        """Kill a worker; returns how many runs stood still in it, or waited for people."""
        await worker.kill()
        trees, hits = await self.trees(), 0
        for case in cases:
            processes = halted(self.folder, case.id)
            tree = trees[case.id]
            if worker.pid not in processes:
                if any(map(is_alive, processes)) or not self._waits(case, tree):
                    continue
                halt(self.folder, case.id, worker.pid)
            case.wasted = self.asked(case) - await self._recorded(case, tree)
            hits += 1
        return hits

    def _require_quiet(self) -> None:
        """Assert that no job failed: what only a later look mends has been lost for a while."""
        with self._log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._logged)
            said = log.read()
        assert "engine_job_failed" not in said, said

    def asked(self, case: Case) -> Calls:
        """Return how often each call of a run came to the servers."""
        model, tools = self.world.model, self.world.tools
        every = Calls({(label, f"m{turn}"): n for (label, turn), n in model.asked.items()})
        every += tools.asked
        return Calls({call: n for call, n in every.items() if call[0][:-1] == case.name})

    async def _recorded(self, case: Case, tree: Tree) -> Calls:
        """Return the calls whose answers are in the journals of a run, and will do.

        A model that refused is asked again by a process that finds its run not ended.
        """
        steps = await self._steps(tree)
        ended = {run.id for run, step in steps if step.key == "end"}
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for run, step in steps:
            if _is_refusal(step) and run.id not in ended:
                continue
            given = json.loads(step.input or "null")
            if step.kind == StepKind.MODEL and (label := LABEL.search(str(run.inputs))):
                found[run.id, _key(step)] = label[2], _key(step)
            elif isinstance(given, dict) and "part" in given:
                found[run.id, step.key] = given["run"], given["part"]
        return Calls(found.values())

    async def _steps(self, tree: Tree) -> list[tuple[Run, Step]]:
        async with self.world.control.database.read() as session:
            statement = select(Run, Step).join(Step, Step.run_id == Run.id)
            found = await session.execute(statement.where(Run.id.in_(tree.runs)))
            return [(run, step) for run, step in found.all()]

    # -- what they came to ------------------------------------------------------------------------

    async def came(self, case: Case) -> Came:
        """Return what the run came to; its journals must be whole."""

        def same(value: Any) -> Any:
            text = _VARIES.sub("-", json.dumps(value).replace(case.name, "*"))
            return json.loads(text)

        tree = (await self.trees())[case.id]
        for run_id in tree.runs:
            answer = await self.world.people.viewer.get(f"/execution-trace/{run_id}/verify")
            assert answer.json()["valid"], answer.text
        async with self.world.control.database.read() as session:
            run = await session.get_one(Run, case.id)
            asked = await session.scalars(select(Approval).where(Approval.run_id.in_(tree.runs)))
            questions = [(tree.runs[a.run_id or ""], a.step_key, a.kind, a.status) for a in asked]
        steps = {
            (tree.runs[run.id], _key(step)): same([step.kind, step.status, step.output])
            for run, step in await self._steps(tree)
        }
        calls = case.shared(self.asked(case))
        return Came(run.status, same(run.result), steps, sorted(questions), calls)

    async def check(self, case: Case, quiet: Came) -> None:
        """Assert that a run came to the same as one that nobody interrupted.

        Nothing that was recorded was done again: what was asked for more often than there had been
        asked for under way, unrecorded, in a process that was killed.
        """
        came = await self.came(case)
        assert (came.status, came.result) == (quiet.status, quiet.result), case
        assert came.steps == quiet.steps, (case, came.steps.keys() ^ quiet.steps.keys())
        assert came.questions == quiet.questions, case
        again = came.calls - quiet.calls
        assert again <= case.shared(case.wasted), (case, again)
        assert quiet.calls <= came.calls, (case, quiet.calls - came.calls)


def _is_refusal(step: Step) -> bool:
    return step.kind == StepKind.MODEL and step.status == StepStatus.ERROR


def _key(step: Step) -> str:
    """Return the key of a step, the same one for all refusals of a model at one place."""
    return step.key.partition("~")[0] if _is_refusal(step) else step.key
