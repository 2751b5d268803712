"""What a process does beside its requests, and what is not broken off with them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

from muster.kernel.logging import get_logger

logger = get_logger(__name__)


async def repeat(look: Callable[[], Awaitable[object]], *, every_s: float, name: str) -> None:
    """Look again and again, until cancelled.

    A look that fails is logged with the name, and does not keep the next one from coming.
    """
    while True:
        try:
            await look()
        except Exception:
            logger.exception("background_work_failed", work=name)
        await asyncio.sleep(every_s)


async def unbroken(work: Coroutine[Any, Any, None], name: str) -> None:
    """Bring work to its end even if the caller is cancelled, who hears of that afterwards."""
    task = asyncio.create_task(work, name=name)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # of which nobody is left to be told
        raise


def in_background(
    stack: AsyncExitStack, work: Callable[[], Coroutine[Any, Any, None]], name: str
) -> None:
    """Let work go on until the stack is closed."""
    task = asyncio.create_task(work(), name=name)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
