"""Watches a run to its end, or to the point where it waits for somebody who is not here."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from muster.domains.work.journal import JournalReader, Run, RunStatus
from muster.domains.work.runs import LiveItem, follow
from muster.entrypoints.cli.deciding import decide, open_approvals
from muster.entrypoints.cli.local import Installation
from muster.entrypoints.cli.screen import RunScreen
from muster.entrypoints.cli.steps import shown_step

_LOOK_AGAIN_S = 1.0


class Watcher:
    """One run on one screen.

    Args:
        installation: Where the run is.
        run_id: The run.
        screen: Where it is shown.
        ask: Whether to ask the person at the terminal for decisions.
        stay: Whether to keep watching a run that waits for people when they are not asked.
    """

    def __init__(
        self,
        installation: Installation,
        run_id: str,
        screen: RunScreen,
        *,
        ask: bool,
        stay: bool = False,
    ) -> None:
        self._installation, self._run_id, self._screen = installation, run_id, screen
        self._ask, self._stay = ask, stay
        self._waits = False
        self._later: set[str] = set()

    async def watch(self) -> Run:
        """Return the run when it has ended, or when it waits and nobody here decides."""
        parts = self._installation.parts
        items = follow(parts.database, parts.live, parts.blobs, self._run_id)
        async with aclosing(_with_pauses(items)) as paced:
            async for item in paced:
                if item is not None:
                    await self._show(item)
                if self._waits and not await self._settle():
                    break
        async with self._installation.database.read() as session:
            return await session.get_one(Run, self._run_id)

    async def _show(self, item: LiveItem) -> None:
        data = item.data
        match item.event:
            case "log":
                await self._show_step(item.id or 0)
            case "step_started" | "token" if "/" in data["key"]:
                pass  # of a run that this one started: its node is shown when it has ended
            case "step_started":
                self._screen.began(data["key"], data["kind"], data["name"])
            case "token":
                self._screen.words(data["key"], data["kind"], data["text"])
            case "status":
                self._show_status(data)
            case _:
                pass

    async def _show_step(self, seq: int) -> None:
        async with self._installation.database.read() as session:
            rows = await JournalReader(session).steps(self._run_id, after=seq - 1, limit=1)
        for row in rows:
            self._screen.finished(await shown_step(row, self._installation.parts.blobs))

    def _show_status(self, data: dict[str, Any]) -> None:
        status = RunStatus(data["status"])
        self._waits = status is RunStatus.WAITING_FOR_APPROVAL
        if status is RunStatus.STOPPING:
            self._screen.remark("The run stops after its present step.")
        elif not status.is_final:
            self._screen.note(f"{status.value.replace('_', ' ')} …")

    async def _settle(self) -> bool:
        """Have decided what is asked. False when it stays open and nobody waits for it here."""
        waiting = await open_approvals(self._installation, self._run_id)
        new = [approval for approval in waiting if approval.id not in self._later]
        for approval in new:
            if self._ask and await decide(self._installation, approval, self._screen):
                self._screen.remark(f"Decided: {approval.title}")
                continue
            self._later.add(approval.id)
            if not self._ask:
                self._screen.remark(f"Waits for approval: {approval.title}")
        return self._stay or not waiting or self._later.isdisjoint(a.id for a in waiting)


async def _with_pauses(items: AsyncIterator[LiveItem]) -> AsyncGenerator[LiveItem | None]:
    """Yield what comes, and None after each second in which nothing came."""
    following: asyncio.Future[LiveItem] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait({following}, timeout=_LOOK_AGAIN_S)
            if not done:
                yield None
                continue
            try:
                item = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield item
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
