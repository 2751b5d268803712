"""Ctrl-C and SIGTERM during a command that waits."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The person at the terminal does not want to wait any longer."""


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Do something until it is done, or raise `Interrupted` when a signal comes.

    The signal cancels the work only, so that what surrounds it can be put away in order.
    """
    loop, interrupted = asyncio.get_running_loop(), False
    task = asyncio.ensure_future(work)

    def stop() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            raise Interrupted from None
        raise
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
