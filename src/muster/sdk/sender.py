"""The thread that brings steps to the platform, again and again until they are there."""

import json
import logging
from threading import Lock, Thread
from typing import Any

from muster.sdk.health import Counters
from muster.sdk.lanes import Batch, Lane, Lanes
from muster.sdk.options import OnRejected, Options
from muster.sdk.platform import Away, Faulty, Platform, Refused
from muster.sdk.registration import Registration

logger = logging.getLogger("muster.sdk")

_MOST_FAULTS = 8
_BY_CONTENT = frozenset({400, 413, 422})
_NOT_FOUND = 404


class Sender:
    """Takes batches from the queue and sends them, one at a time. Starts with the first step.

    Args:
        lanes: The queue.
        platform: The platform.
        registration: Whose steps they are.
        options: The pauses.
        counters: What is told of it.
        on_rejected: Is given the task, the steps that were refused, and why.
    """

    def __init__(
        self,
        lanes: Lanes,
        platform: Platform,
        registration: Registration,
        options: Options,
        counters: Counters,
        on_rejected: OnRejected | None,
    ) -> None:
        self._lanes, self._platform, self._registration = lanes, platform, registration
        self._options, self._counters, self._on_rejected = options, counters, on_rejected
        self._lock = Lock()
        self._thread: Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Start the thread if it does not run yet."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                thread = Thread(target=self._run, name="muster-sdk", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while (work := self._lanes.take()) is not None:
            lane, batch = work
            try:
                self._send(lane, batch)
            except Exception:
                # Nothing may end the thread: what cannot be told is given up, and told.
                logger.exception("a batch could not be sent")
                self._reject(lane, batch, "the SDK failed")

    def _send(self, lane: Lane, batch: Batch) -> None:
        try:
            agent_id = self._registration.ensure()
        except Refused as error:
            self._leave_alone(f"registration refused: {error}", self._options.retry_max_s)
            return
        except Away as error:
            self._leave_alone(f"registration failed: {error}", error.retry_after_s)
            return
        try:
            body = batch.body(agent_id, lane.task_id)
            answer = self._platform.post("/logs/batch", body, key=batch.key)
        except Refused as error:
            self._refused(lane, batch, error)
        except Faulty as error:
            self._faulty(lane, batch, error)
        except Away as error:
            self._leave_alone(str(error), error.retry_after_s)
        else:
            self._stored(lane, batch, answer)

    def _stored(self, lane: Lane, batch: Batch, answer: dict[str, Any]) -> None:
        self._reached()
        self._counters.add(sent=len(batch.records), batches=1)
        try:
            lane.task.stored(answer)
        except Exception:
            logger.exception("an answer could not be read")
        self._lanes.settle(lane)

    def _reached(self) -> None:
        if self._failures:
            logger.info("the platform is back after %d failed calls", self._failures)
        self._failures = 0
        self._counters.set(reachable=True)

    def _leave_alone(self, reason: str, wished_s: float | None) -> None:
        self._failures += 1
        pause_s = self._options.pause(self._failures)
        if self._failures == 1:
            logger.warning("the platform is away, steps wait: %s", reason)
        self._counters.add(retries=1)
        self._counters.set(reachable=False, last_error=reason)
        self._lanes.pause(pause_s if wished_s is None else wished_s)

    def _faulty(self, lane: Lane, batch: Batch, error: Faulty) -> None:
        batch.faults += 1
        if batch.faults >= _MOST_FAULTS:
            self._reject(lane, batch, str(error))
            return
        self._counters.add(retries=1)
        self._counters.set(last_error=str(error))
        self._lanes.postpone(lane, self._options.pause(batch.faults))

    def _refused(self, lane: Lane, batch: Batch, error: Refused) -> None:
        self._reached()
        if error.status in _BY_CONTENT and len(batch.records) > 1:
            # A batch is stored as a whole or not at all: its halves tell which step is at fault.
            self._lanes.split(lane)
        elif error.status == _NOT_FOUND and not batch.is_renewed:
            batch.is_renewed = True
            self._registration.forget()
        else:
            self._reject(lane, batch, str(error))

    def _reject(self, lane: Lane, batch: Batch, reason: str) -> None:
        logger.error("%d steps of task %s refused: %s", len(batch.records), lane.task_id, reason)
        self._counters.add(rejected=len(batch.records))
        self._counters.set(last_error=reason)
        lane.task.refused(reason)
        if self._on_rejected is not None:
            try:
                steps = [json.loads(record.body) for record in batch.records]
                self._on_rejected(lane.task_id, steps, reason)
            except Exception:
                logger.exception("on_rejected failed")
        self._lanes.settle(lane)
