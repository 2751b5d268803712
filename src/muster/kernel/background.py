"""What a process does beside its requests, until it ends."""

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
