"""The DBOS of this process: one global instance, on threads of its own, silent.

DBOS runs every job as a workflow on its own event loop and records how it ended. The handlers live
on the main loop, with the database sessions and locks that belong to it, so a workflow only hands
over to the main loop and waits.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from dbos import DBOS, SetWorkflowID
from dbos._core import WorkflowHandleAsyncTask, execute_dequeued_workflow
from dbos._dbos import _get_dbos_instance  # pyright: ignore[reportPrivateUsage]
from dbos._serialization import DBOSPortableJSON
from dbos._utils import GlobalParams

from muster.engine.jobs import Job
from muster.engine.options import EngineOptions
from muster.engine.system_database import APPLICATION, SCHEMA, WORKFLOW, Claim, SystemDatabase

RunJob = Callable[[Job], Awaitable[bool]]
"""Execute a job on the main loop. True when it came to its end, False when it must stay alive."""

_LISTENER_POLL_S = 0.01
_SETTLE_POLL_S = 0.01


class Runtime:
    """DBOS, from launch to destruction. Another one may follow in the same process."""

    def __init__(self, options: EngineOptions, database: SystemDatabase, run: RunJob) -> None:
        self._options, self._database, self._run = options, database, run
        self._loop = asyncio.get_running_loop()
        # Handlers start in the context of the process: DBOS's own would make whatever they
        # submit a child of the workflow.
        self._context = contextvars.copy_context()

    async def start(self, executor_id: str) -> None:
        """Launch DBOS. It polls no queue of ours: the dispatcher claims for it."""
        global _current  # noqa: PLW0603 - DBOS is global to the process, so is what it calls
        _current = self
        _silence()
        await asyncio.to_thread(self._launch, executor_id)

    def _launch(self, executor_id: str) -> None:
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._database.url,
                "system_database_engine": self._database.engine,
                "dbos_system_schema": SCHEMA,
                "application_version": self._options.app_version,
                "executor_id": executor_id,
                "serializer": DBOSPortableJSON,
                "use_listen_notify": False,
                "notification_listener_polling_interval_sec": _LISTENER_POLL_S,
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )
        DBOS.listen_queues([])
        DBOS.launch()
        # Its thread that looks for messages, of which there are none, ends after its first look;
        # else it would look for ever, and shutting down would wait for it.
        dbos: Any = _get_dbos_instance()
        dbos._sys_db._run_background_processes = False  # noqa: SLF001

    async def stop(self, timeout_s: float) -> None:
        """Destroy DBOS, once it has recorded the ends of handlers that ended a moment ago.

        Whatever it still runs after the time stays unfinished in the database.
        """
        dbos: Any = _get_dbos_instance()
        deadline = time.monotonic() + timeout_s
        while dbos._workflow_tasks and time.monotonic() < deadline:  # noqa: SLF001, ASYNC110 - it tells nobody
            await asyncio.sleep(_SETTLE_POLL_S)
        await discard()

    def rename(self, executor_id: str) -> None:
        """Go on under a new executor id, after the old lease was lost."""
        GlobalParams.executor_id = executor_id

    async def begin(self, job: Job) -> bool:
        """Store a job and begin to execute it, without the queue. False when it existed already."""
        loop: Any = _get_dbos_instance()._background_event_loop.target_loop()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_begin(job), loop))

    async def execute(self, claim: Claim) -> None:
        """Begin to execute a claimed job; returns once it has begun."""
        await asyncio.to_thread(
            execute_dequeued_workflow,
            _get_dbos_instance(),
            claim.row,  # pyright: ignore[reportArgumentType] - a TypedDict, as DBOS returned it
            claim.owner,
        )

    def invoke(self, job: Job) -> "Future[bool]":
        """Run a job on the main loop; called on DBOS's loop."""
        # A copy for each: one context cannot be entered twice at a time.
        return self._context.copy().run(
            asyncio.run_coroutine_threadsafe, self._coroutine(job), self._loop
        )

    async def _coroutine(self, job: Job) -> bool:
        return await self._run(job)


class _Unfinished(BaseException):
    """Leaves a workflow without an outcome: every `Exception` DBOS would record as one."""


_current: Runtime | None = None


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
async def run_job(job: dict[str, Any]) -> None:
    """Execute one job: the only workflow there is."""
    runtime = _current
    if runtime is None or not await asyncio.wrap_future(runtime.invoke(Job.from_json(job))):
        raise _Unfinished


async def discard() -> None:
    """Destroy the DBOS of this process, if there is one."""
    global _current  # noqa: PLW0603
    if _current is not None:
        await asyncio.to_thread(DBOS.destroy)
        _current = None


async def _begin(job: Job) -> bool:
    with SetWorkflowID(job.id):
        handle = await DBOS.start_workflow_async(run_job, job.to_json())
    return isinstance(handle, WorkflowHandleAsyncTask)


def _silence() -> None:
    """Let DBOS log where everything else logs, and only what matters."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        # With a handler present DBOS adds none for the console.
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
    logger.setLevel(logging.WARNING)
