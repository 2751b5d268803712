"""Steps that wait for the platform: in order for each task, bounded, in batches."""

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Protocol

from muster.sdk.options import Options
from muster.sdk.values import dumps

_IMPATIENCE_S = 0.5
_BATCH_BYTES = 8 * 2**20
"""Less than half of the longest body that the platform reads."""


@dataclass(frozen=True, slots=True)
class Record:
    """A step as it is sent. `number` counts all steps of a client."""

    number: int
    body: bytes
    at: float


@dataclass(slots=True)
class Batch:
    """Steps that go in one call, under one key however often it is made."""

    records: Sequence[Record]
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    faults: int = 0
    is_renewed: bool = False

    def body(self, agent_id: str, task_id: str) -> bytes:
        """Return the body of the call."""
        head = dumps({"agent_id": agent_id, "task_id": task_id})[:-1]
        return head + b',"steps":[' + b",".join(r.body for r in self.records) + b"]}"

    def halves(self) -> list["Batch"]:
        """Return two batches of the same steps."""
        middle = len(self.records) // 2
        return [Batch(self.records[:middle]), Batch(self.records[middle:])]


class Owner(Protocol):
    """The task that steps belong to."""

    id: str

    def stored(self, answer: dict[str, Any]) -> None:
        """Take note of what the platform answers to steps of the task."""
        ...

    def refused(self, reason: str) -> None:
        """Take note that the platform has not taken steps of the task."""
        ...


@dataclass(slots=True)
class Lane:
    """What waits of one task. Batches come before records that are in none yet."""

    task_id: str
    task: Owner
    batches: deque[Batch] = field(default_factory=deque[Batch])
    records: deque[Record] = field(default_factory=deque[Record])
    due: float = 0.0

    @property
    def oldest(self) -> Record | None:
        """The step that is next, or None when nothing waits."""
        if self.batches:
            return self.batches[0].records[0]
        return self.records[0] if self.records else None


class Lanes:
    """The queue of a client: many put, one thread takes.

    Args:
        options: The limits.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._changed = Condition()
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        self._steps = self._bytes = self._number = 0
        self._paused_until, self._hurry_to, self._is_closed = 0.0, 0, False

    @property
    def waiting(self) -> tuple[int, int]:
        """How many steps wait, and their bytes."""
        return self._steps, self._bytes

    @property
    def is_paused(self) -> bool:
        """Whether calls failed so lately that none is made now."""
        return time.monotonic() < self._paused_until

    def has(self, task_id: str) -> bool:
        """Whether something of a task waits."""
        with self._changed:
            return task_id in self._lanes

    def put(
        self,
        task: Owner,
        body: bytes,
        *,
        wait_s: float,
        is_mark: bool,
    ) -> bool:
        """Add a step; False when there was no place for it in time.

        Args:
            task: Its task.
            body: The step as JSON.
            wait_s: How long to wait for a place, in seconds.
            is_mark: Whether it begins or ends its task: such steps have places of their own.
        """
        share = 2 if is_mark else 1
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_place(len(body), share), wait_s):
                return False
            if self._is_closed:
                return False
            self._number += 1
            lane = self._lanes.get(task.id) or Lane(task.id, task)
            self._lanes[task.id] = lane
            lane.records.append(Record(self._number, body, time.monotonic()))
            self._steps += 1
            self._bytes += len(body)
            self._changed.notify_all()
        return True

    def _has_place(self, more: int, share: int) -> bool:
        options = self._options
        return self._is_closed or (
            self._steps < options.queue_size * share
            and (self._steps == 0 or self._bytes + more <= options.queue_bytes * share)
        )

    def take(self) -> tuple[Lane, Batch] | None:
        """Wait for a batch that is to be sent, and return it; None when the queue is closed."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                at = self._paused_until
                if at <= now:
                    lane, at = self._ready(now)
                    if lane is not None:
                        return lane, self._batch(lane)
                self._changed.wait(None if at == float("inf") else max(at - now, 0.001))
        return None

    def _ready(self, now: float) -> tuple[Lane | None, float]:
        """Return a lane that has something to send, or when to look again."""
        soonest = float("inf")
        for lane in self._lanes.values():
            oldest = lane.oldest
            assert oldest is not None  # noqa: S101 - empty lanes are taken out at once
            full = len(lane.records) >= self._options.batch_size
            hurried = oldest.number <= self._hurry_to
            waits = not (lane.batches or full or hurried or self._steps >= self._options.queue_size)
            at = max(lane.due, oldest.at + self._options.interval_s if waits else 0.0)
            if at <= now:
                self._lanes.move_to_end(lane.task_id)
                return lane, at
            soonest = min(soonest, at)
        return None, soonest

    def _batch(self, lane: Lane) -> Batch:
        if not lane.batches:
            taken: list[Record] = []
            size = 0
            while lane.records and len(taken) < self._options.batch_size:
                size += len(lane.records[0].body)
                if taken and size > _BATCH_BYTES:
                    break
                taken.append(lane.records.popleft())
            lane.batches.append(Batch(taken))
        return lane.batches[0]

    def settle(self, lane: Lane) -> None:
        """Take out the lane's first batch: nothing more is to be done about it."""
        with self._changed:
            if self._lanes.get(lane.task_id) is not lane or not lane.batches:
                return  # the queue was closed meanwhile
            batch = lane.batches.popleft()
            self._steps -= len(batch.records)
            self._bytes -= sum(len(record.body) for record in batch.records)
            lane.due = 0.0
            if lane.oldest is None:
                self._lanes.pop(lane.task_id, None)
            self._changed.notify_all()

    def split(self, lane: Lane) -> None:
        """Send the halves of the lane's first batch instead of it."""
        with self._changed:
            if lane.batches:
                lane.batches.extendleft(reversed(lane.batches.popleft().halves()))

    def postpone(self, lane: Lane, pause_s: float) -> None:
        """Leave a lane alone for a while, in seconds."""
        with self._changed:
            lane.due = time.monotonic() + pause_s

    def pause(self, pause_s: float) -> None:
        """Leave the platform alone for a while, in seconds."""
        with self._changed:
            self._paused_until = time.monotonic() + pause_s

    def nudge(self) -> None:
        """End a pause: somebody waits for the platform."""
        with self._changed:
            self._paused_until = 0.0
            self._changed.notify_all()

    def flush(self, wait_s: float, task_id: str | None = None) -> bool:
        """Wait until everything that was put, or that of one task, is settled; False: not in time.

        Args:
            wait_s: How long, in seconds.
            task_id: The task, or None for all.
        """
        with self._changed:
            last = self._number
            self._hurry_to = max(self._hurry_to, last)
            self._changed.notify_all()
            until = time.monotonic() + wait_s
            while self._waits(last, task_id):
                left = until - time.monotonic()
                if left <= 0:
                    return False
                if not self._changed.wait(min(left, _IMPATIENCE_S)):
                    # Somebody waits: the platform is tried more often than it would be.
                    self._paused_until = 0.0
                    self._changed.notify_all()
            return True

    def _waits(self, last: int, task_id: str | None) -> bool:
        lanes = self._lanes.values()
        if task_id is not None:
            lanes = [lane for lane in lanes if lane.task_id == task_id]
        return any(lane.oldest is not None and lane.oldest.number <= last for lane in lanes)

    def close(self) -> int:
        """Take nothing more, give nothing more; return how many steps were left."""
        with self._changed:
            self._is_closed = True
            left, self._steps, self._bytes = self._steps, 0, 0
            self._lanes.clear()
            self._changed.notify_all()
        return left
