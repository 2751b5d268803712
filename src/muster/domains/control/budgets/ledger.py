"""The ledger: takes holds before calls and settles them after, many in one transaction.

A commit costs a sync to the disk, whether one call is in it or fifty. Whatever comes while one is
written waits and is written with the next. Nobody waits for a settlement: until it is written the
hold stands, which is the safe side, and one that a crash swallows is made up from the journal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import DBAPIError

from muster.domains.control.budgets.entries import (
    Claim,
    Growth,
    Refusal,
    Settlement,
    write_entries,
)
from muster.domains.control.budgets.rules import Line
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.logging import get_logger

_MOST_AT_ONCE = 256
_PATIENCE_S = 0.025
"""How long settlements wait for a claim to share the commit of: the next step of the run brings
one, often within milliseconds.
"""

Grown = Callable[[Sequence[Growth]], Awaitable[None]]
"""Told of the usages that settlements made larger."""

logger = get_logger(__name__)


class Ledger:
    """Claims and settlements of one process."""

    def __init__(self, database: Database, grown: Grown) -> None:
        self._database, self._grown = database, grown
        self._waiting: list[Claim | Settlement] = []
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def claim(
        self, run_id: str, key: str, lines: Sequence[Line], amount: int
    ) -> list[Refusal]:
        """Hold an amount everywhere, or nowhere; returns where it did not fit.

        What is returned is the one budget that refuses, or those that only warn.
        """
        done: asyncio.Future[list[Refusal]] = asyncio.get_running_loop().create_future()
        self._hurry.set()
        self._put(Claim(run_id=run_id, key=key, lines=lines, amount=amount, done=done))
        return await done

    def settle(self, settlement: Settlement) -> None:
        """Turn what is held into what was spent, soon."""
        self._put(settlement)

    async def charge(self, settlement: Settlement) -> None:
        """Count what was spent without a hold; returns when that is written, or cannot be."""
        settlement.done = asyncio.get_running_loop().create_future()
        self._hurry.set()
        self._put(settlement)
        await settlement.done

    async def written(self) -> None:
        """Return when everything that was given so far is written."""
        while self._writer is not None and not self._writer.done():
            self._hurry.set()
            await asyncio.shield(self._writer)

    def _put(self, entry: Claim | Settlement) -> None:
        self._waiting.append(entry)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="budget-ledger")

    async def _write(self) -> None:
        while self._waiting:
            if not any(entry.done is not None for entry in self._waiting):
                await self._wait_for_claim()
            entries = self._waiting[:_MOST_AT_ONCE]
            del self._waiting[:_MOST_AT_ONCE]
            try:
                await self._write_together(entries)
            except DBAPIError:
                # One that cannot be written must not fail those that share its commit.
                for entry in entries:
                    await self._write_alone(entry)
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                for entry in entries:
                    self._failed(entry, error)

    async def _wait_for_claim(self) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._hurry.wait()

    async def _write_alone(self, entry: Claim | Settlement) -> None:
        try:
            await self._write_together([entry])
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            self._failed(entry, error)

    async def _write_together(self, entries: Sequence[Claim | Settlement]) -> None:
        work = partial(write_entries, entries=entries, moment=clock.now())
        answers, grown = await self._database.transact(work)
        for entry, answer in zip(entries, answers, strict=True):
            if isinstance(entry, Claim):
                if not entry.done.done():
                    entry.done.set_result(answer)
            else:
                _release(entry)
        if grown:
            try:
                await self._grown(grown)
            except Exception:
                logger.exception("budget_alert_failed")

    def _failed(self, entry: Claim | Settlement, error: Exception) -> None:
        if isinstance(entry, Claim):
            if not entry.done.done():
                entry.done.set_exception(error)
            return
        logger.error("budget_not_settled", run_id=entry.run_id, key=entry.key, exc_info=error)
        _release(entry)


def _release(settlement: Settlement) -> None:
    """Let whoever waits for a settlement go on."""
    if settlement.done is not None and not settlement.done.done():
        settlement.done.set_result(None)
