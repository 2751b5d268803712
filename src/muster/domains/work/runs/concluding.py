"""What becomes of a run by how the work on it ended."""

from typing import Any, Protocol

from muster.domains.work.journal import Fenced, IllegalRunMove, Run, RunAction, StepStatus
from muster.domains.work.runs.interruptions import Refused, StopAsked, Suspended
from muster.domains.work.runs.memory import RunMemory
from muster.kernel.errors import AppError
from muster.kernel.logging import get_logger

logger = get_logger(__name__)


class Work(Protocol):
    """The work on one run in one segment."""

    run: Run
    memory: RunMemory

    async def execute(self) -> Any: ...

    async def wait(self, suspended: Suspended) -> None: ...

    async def interrupted(self) -> None: ...

    async def end(
        self,
        action: RunAction,
        status: StepStatus,
        *,
        result: Any = None,
        error: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None: ...


async def conclude(segment: Work) -> None:
    """Execute a segment and bring its run to an end or to a wait."""
    try:
        await _conclude(segment)
    except (Fenced, IllegalRunMove):
        # Somebody ended it meanwhile; or another process has it, and nothing of this is taken.
        logger.info("run_taken_away", run_id=segment.run.id)
        await segment.interrupted()


async def _conclude(segment: Work) -> None:
    try:
        answer = await segment.execute()
        await segment.end(
            RunAction.COMPLETE, StepStatus.OK, result=answer.output, reason=answer.note
        )
    except Suspended as suspended:
        try:
            await segment.wait(suspended)
        except IllegalRunMove:
            # Somebody asked the run to stop in this very moment; or it has ended, and stays so.
            await _stop(segment)
    except StopAsked:
        await _stop(segment)
    except Refused as refused:
        action = RunAction.REJECT if refused.code == "rejected" else RunAction.FAIL
        await _fail(segment, action, refused.code, refused.message)
    except (Fenced, IllegalRunMove):
        raise
    except AppError as error:
        await _fail(segment, RunAction.FAIL, error.code, error.detail)
    except Exception:
        logger.exception("run_crashed", run_id=segment.run.id)
        text = "The run failed for a reason inside the platform; its id finds it in the log."
        await _fail(segment, RunAction.FAIL, "internal_error", text)


async def _stop(segment: Work) -> None:
    partial = {"partial_results": segment.memory.partial_results()}
    await segment.end(RunAction.STOPPED, StepStatus.CANCELLED, result=partial)


async def _fail(segment: Work, action: RunAction, code: str, message: str) -> None:
    error = {"code": code, "message": message}
    partial = segment.memory.partial_results()
    result = {"partial_results": partial} if partial else None
    await segment.end(action, StepStatus.ERROR, result=result, error=error, reason=message)
