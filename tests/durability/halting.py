"""Runs that stand still between two steps, so that a kill finds them exactly there.

What a run has come to is counted in facts: the steps in its journal and in those of the runs that
it started, and the questions that they have asked people. The name of a run says at which of them
its first process, its second and so on goes no further. *After* a fact nothing else has begun;
*before* one the next step has been taken and is not recorded yet. Many runs that stand still at
many places of one plan are all interrupted by a single kill.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, func, select

from muster.domains.control.approvals import Approval
from muster.domains.work.journal import JournalWriter, Run
from muster.domains.work.runs import Suspended
from muster.domains.work.runs.segments import Segment
from muster.domains.work.triggers.starting import Starter
from muster.kernel.db import after_commit

When = Literal["before", "after"]

_NAMED = re.compile(r"(?:\w+) halts (before|after) ([\d ]+)")
_TREE = select(Run.id, Run.head_seq).where(Run.id == bindparam("root")).cte(recursive=True)
_TREE = _TREE.union_all(select(Run.id, Run.head_seq).join(_TREE, Run.parent_run_id == _TREE.c.id))
_FACTS = select(
    select(func.sum(_TREE.c.head_seq)).scalar_subquery(),
    select(func.count()).where(Approval.run_id.in_(select(_TREE.c.id))).scalar_subquery(),
)


class Halts(NamedTuple):
    """Where the processes of one run go no further."""

    root_id: str
    when: When
    facts: tuple[int, ...]


def named(name: str, when: When, facts: Sequence[int]) -> str:
    """Return how a run is called that stands still."""
    return f"{name} halts {when} {' '.join(map(str, facts))}"


def halted(folder: Path, root_id: str) -> list[int]:
    """Return the processes that had a run when they were killed, and the one it stands still in."""
    return [int(found.suffix[1:]) for found in folder.glob(f"{root_id}.*")]


def halt(folder: Path, root_id: str, pid: int) -> None:
    """Note that a run goes no further in a process."""
    (folder / f"{root_id}.{pid}").touch()


@dataclass(slots=True)
class Standing:
    """Where a run goes no further in this process, and how many facts it has."""

    halts: Halts
    facts: int = 0


class Halting:
    """Lets the runs of this process stand still. `folder` tells everybody which of them do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, Standing | None] = {}

    def install(self) -> None:
        """Look at what the journal is given from now on, and at what people are asked."""
        append, append_within = JournalWriter.append, JournalWriter.append_within
        start, end, wait = Segment._start, Segment.end, Segment.wait

        async def appending(writer: JournalWriter, run_id: str, fence: int, steps: Any) -> Any:
            await self._pass(run_id, "before")
            appended = await append(writer, run_id, fence, steps)
            await self._pass(run_id, "after", len(steps))
            return appended

        async def appending_within(
            writer: JournalWriter, session: Any, run_id: str, fence: int, rows: Any
        ) -> Any:
            appended = await append_within(writer, session, run_id, fence, rows)
            after_commit(session, lambda: self._pass(run_id, "after", len(rows)))
            return appended

        async def starting(segment: Segment) -> Any:
            await self._begin(segment)
            await self._pass(segment.run.id, "before")
            return await start(segment)

        async def ending(segment: Segment, *given: Any, **named: Any) -> Any:
            await self._pass(segment.run.id, "before")
            return await end(segment, *given, **named)

        async def waiting(segment: Segment, suspended: Suspended) -> None:
            await self._pass(segment.run.id, "before")
            await wait(segment, suspended)
            await self._pass(segment.run.id, "after", len(suspended.requests))

        for owner, name, wrapped in (
            (JournalWriter, "append", appending),
            (JournalWriter, "append_within", appending_within),
            (Segment, "_start", starting),
            (Segment, "end", ending),
            (Segment, "wait", waiting),
        ):
            setattr(owner, name, wrapped)

    async def _begin(self, segment: Segment) -> None:
        """Note which run it is, or which one it works for."""
        root = segment.root
        if segment.run is not root:
            self._runs[segment.run.id] = self._runs[root.id]
            return
        halts = read(root.id, root.name)
        self._runs[root.id] = None
        if halts is not None:
            async with segment.parts.database.read() as session:
                steps, asked = (await session.execute(_FACTS, {"root": root.id})).one()
            self._runs[root.id] = Standing(halts, steps + asked)

    async def _pass(self, run_id: str, when: When, new_facts: int = 0) -> None:
        """Return where the run may go on; where not, never."""
        standing = self._runs.get(run_id)
        if standing is None:
            return
        standing.facts += new_facts
        halts = standing.halts
        processes = halted(self._folder, halts.root_id)
        if os.getpid() not in processes:
            over = len(processes) >= len(halts.facts)
            if over or standing.facts < halts.facts[len(processes)]:
                return
            if (halts.when, when) == ("before", "after"):
                return
            halt(self._folder, halts.root_id, os.getpid())
        await asyncio.Event().wait()


def hold_firings(folder: Path) -> None:
    """Let the first process that starts a firing go no further, where its trigger's name says so:
    *before* the run is made, or *after* that and before the firing is settled.
    """
    launch = Starter._launch

    async def stand_still(run_id: str) -> None:
        if not halted(folder, run_id):
            halt(folder, run_id, os.getpid())
            await asyncio.Event().wait()

    async def launching(self: Starter, trigger: Any, firing: Any, caller: Any) -> Any:
        if trigger.name.endswith("halts before"):
            await stand_still(firing.run_id)
        outcome = await launch(self, trigger, firing, caller)
        if trigger.name.endswith("halts after"):
            await stand_still(firing.run_id)
        return outcome

    Starter._launch = launching


def read(root_id: str, name: str) -> Halts | None:
    """Return where the run with this name stands still, if it does."""
    found = _NAMED.fullmatch(name)
    if found is None:
        return None
    when: Any = found[1]
    return Halts(root_id, when, tuple(int(number) for number in found[2].split()))
