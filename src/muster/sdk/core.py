"""What tasks and steps of one client share: the queue, its sender, and the gate."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from muster.sdk.decisions import Decision
from muster.sdk.errors import PlatformUnavailable
from muster.sdk.gate import Approve, Gate
from muster.sdk.health import Counters, Health
from muster.sdk.lanes import Lanes
from muster.sdk.options import OnRejected, Options, Redact
from muster.sdk.platform import Platform
from muster.sdk.registration import Registration
from muster.sdk.sender import Sender
from muster.sdk.values import dumps, plain

logger = logging.getLogger("muster.sdk")

_MARKS = frozenset({"task.start", "task.end", "task.error"})


class ClientCore:
    """The parts of a client, put together.

    Args:
        url: Where the platform is.
        key: API key.
        profile: Who the agent is.
        options: How the client behaves.
        approve: Asks a person.
        redact: Redacts inputs and outputs.
        on_rejected: Is told of refused steps.
    """

    def __init__(
        self,
        url: str,
        key: str,
        profile: Mapping[str, Any],
        options: Options,
        approve: Approve | None,
        redact: Redact | None,
        on_rejected: OnRejected | None,
    ) -> None:
        self.options, self.approve = options, approve
        self._redact, self._on_rejected = redact, on_rejected
        self.counters = Counters()
        self.platform = Platform(url, key, options.timeout_s)
        self.registration = Registration(self.platform, profile, self.counters)
        self._assemble()

    def _assemble(self) -> None:
        parts = (self.platform, self.registration, self.options, self.counters)
        self.lanes = Lanes(self.options)
        self.sender = Sender(self.lanes, *parts, self._on_rejected)
        self.gate = Gate(self.lanes, *parts)

    @property
    def is_closed(self) -> bool:
        """Whether an outage is to stop the agent."""
        return self.options.is_closed

    def health(self) -> Health:
        """Return the counters with what waits."""
        queued, size = self.lanes.waiting
        return self.counters.snapshot(queued=queued, queued_bytes=size)

    def shown(self, value: Any) -> Any:
        """Return a value as it may leave the process."""
        return plain(value, self._redact, self.options.max_value_bytes)

    def count(self, **counts: int) -> None:
        """Add to counters."""
        self.counters.add(**counts)

    def judge(self, task_id: str, step: Mapping[str, Any]) -> Decision:
        """Return what policies say about a step."""
        return self.gate.ask(task_id, step)

    def require(self, task: Any) -> None:
        """Wait until all of a task is stored; raises `PlatformUnavailable` otherwise."""
        self.gate.require(task.id)
        if task.refusal is not None:
            raise PlatformUnavailable(f"a step of the task was not stored: {task.refusal}")

    def put(self, task: Any, record: dict[str, Any]) -> None:
        """Queue a step, and wait for a place while there is none."""
        if not self._offer(task, record, self.options.full_timeout_s):
            self._drop()

    async def aput(self, task: Any, record: dict[str, Any]) -> None:
        """Queue a step; wait in a thread only where there is no place at once."""
        if self._offer(task, record, 0.0):
            return
        if not await asyncio.to_thread(self._offer, task, record, self.options.full_timeout_s):
            self._drop()

    def _offer(self, task: Any, record: dict[str, Any], wait_s: float) -> bool:
        is_mark = record["kind"] in _MARKS
        try:
            is_put = self.lanes.put(task, dumps(record), wait_s=wait_s, is_mark=is_mark)
        except Exception:
            logger.exception("a step could not be queued")
            return False
        try:
            self.sender.start()
        except RuntimeError:  # no thread to be had, such as while the interpreter ends
            logger.exception("steps cannot be sent for now")
        return is_put

    def _drop(self) -> None:
        self.counters.add(dropped=1)
        reason = "a step has no place in the queue"
        self.counters.set(last_error=reason)
        logger.error("%s and is dropped", reason)
        if self.options.is_closed:
            raise PlatformUnavailable(reason)

    def flush(self, wait_s: float) -> bool:
        """Wait until the queue is empty."""
        self.lanes.nudge()
        return self.lanes.flush(wait_s)

    def close(self, wait_s: float) -> bool:
        """Send what waits, for a bounded time in seconds, and stop."""
        self.flush(wait_s)
        left = self.lanes.close()
        self.platform.close()
        if left:
            self.counters.add(lost=left)
            logger.error("%d steps could not be sent and are lost", left)
        return not left

    def begin_anew(self) -> None:
        """Start with an empty queue in a process that was forked."""
        self.counters = Counters()
        self.platform.forget()
        self.registration.unlock(self.counters)
        self._assemble()
