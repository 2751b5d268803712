"""What a process that executes runs does beside its requests; imported once those are answered."""

from contextlib import AsyncExitStack

from muster.domains.work.launching import Launcher
from muster.domains.work.logs import IdleSweep
from muster.domains.work.runs import Dispatcher, RunParts
from muster.domains.work.tasks import TaskQueue
from muster.domains.work.triggers import EventFollower, TriggerClock
from muster.domains.work.workers import WorkerWatch
from muster.kernel.background import in_background
from muster.platform.deliveries import Courier


def begin_working(
    stack: AsyncExitStack, parts: RunParts, launcher: Launcher, courier: Courier
) -> None:
    """Look, until the stack is closed, for what is to be started, sent or swept up."""
    database, live = parts.database, parts.live
    in_background(stack, Dispatcher(parts).run, "dispatcher")
    in_background(stack, IdleSweep(database, parts.writer).run, "idle-sweep")
    in_background(stack, WorkerWatch(database).run, "worker-watch")
    in_background(stack, courier.run, "courier")
    in_background(stack, TaskQueue(parts, launcher).run, "task-queue")
    in_background(stack, EventFollower(database, live).run, "event-follower")
    in_background(stack, TriggerClock(database, live, launcher).run, "trigger-clock")
