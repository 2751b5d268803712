"""What one can do with dead letters. Knows nothing of HTTP."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import EXTERNAL
from muster.domains.work.dead_letters.burying import bury, can_start_again
from muster.domains.work.dead_letters.errors import (
    DeadLetterRefused,
    DeadLetterRetried,
    DeadLetterTaken,
    DeadLetterTaskGone,
)
from muster.domains.work.dead_letters.events import DeadLetterRemoved, DeadLetterWasRetried
from muster.domains.work.dead_letters.models import RETRIED, DeadLetter
from muster.domains.work.dead_letters.repository import DeadLetterRepository, find_run
from muster.domains.work.dead_letters.schemas import (
    DeadLetterCreate,
    DeadLetterList,
    DeadLetterStats,
    RetryAllRequest,
)
from muster.domains.work.runs import RunNotFound, RunService
from muster.domains.work.tasks import TaskNotFound, TaskService, TaskStatus
from muster.kernel import clock
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller


class DeadLetterService:
    """Use cases of dead letters, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._letters = DeadLetterRepository(session, caller.project_id)

    async def list(self, params: DeadLetterList) -> Rows[DeadLetter]:
        return await self._letters.search(params)

    async def get(self, letter_id: str) -> DeadLetter:
        return await self._letters.get(letter_id)

    async def stats(self) -> DeadLetterStats:
        return await self._letters.stats()

    async def waiting(self, body: RetryAllRequest) -> Sequence[str]:
        """Return which ones a retry of all means."""
        return await self._letters.waiting(body.limit, body.kind, body.agent_id)

    async def count_waiting(self, body: RetryAllRequest) -> int:
        return await self._letters.count_waiting(body.kind, body.agent_id)

    async def add(self, body: DeadLetterCreate) -> DeadLetter:
        """Lay a run down by hand."""
        run = await find_run(self._session, self._caller.project_id, body.run_id)
        if run is None:
            raise RunNotFound
        if not can_start_again(run):
            raise DeadLetterRefused("Its agent runs elsewhere and must be started again there.")
        if run.parent_run_id is not None:
            raise DeadLetterRefused(f"Lay the run {run.parent_run_id} down, which started it.")
        if not run.is_final:
            raise DeadLetterRefused("The run has not ended; cancel it first.")
        if await self._letters.lies_already(run.id):
            raise DeadLetterTaken
        reason = body.reason or f"Laid down by {self._caller.name}"
        letter_id = await bury(self._session, self._caller, run, reason=reason, source="manual")
        return await self._letters.get(letter_id)

    async def retry(
        self, letter_id: str, runs: RunService, tasks: TaskService
    ) -> tuple[DeadLetter, str | None]:
        """Start the same again as a new run; returns its id.

        What a worker node did has none before a worker has claimed its task again.
        """
        letter = await self._letters.get(letter_id)
        of_worker = letter.kind == EXTERNAL and letter.status != RETRIED
        if of_worker:
            # First the task: whoever claims it has it before its letters.
            await self._offer_again(letter, tasks)
        letter = await self._letters.held(letter_id)
        if letter.status == RETRIED:
            raise DeadLetterRetried(_what_instead(letter))
        run_id = None if of_worker else (await runs.retry(letter.run_id)).id
        await self._letters.update(
            letter, status=RETRIED, retried_at=clock.now(), retry_run_id=run_id
        )
        fact = DeadLetterWasRetried(
            dead_letter_id=letter.id,
            run_id=letter.run_id,
            name=letter.run_name,
            kind=letter.kind,
            retry_run_id=run_id,
        )
        events.record(self._session, self._caller, fact)
        return letter, run_id

    async def _offer_again(self, letter: DeadLetter, tasks: TaskService) -> None:
        """Put the task that a worker has failed back in the queue."""
        try:
            await tasks.change(letter.target["task_id"], {"status": TaskStatus.PENDING.value})
        except TaskNotFound as error:
            raise DeadLetterTaskGone("Make the task anew, and delete this letter.") from error

    async def delete(self, letter_id: str) -> None:
        """Take a dead letter away; its run stays in the history."""
        letter = await self._letters.held(letter_id)
        await self._letters.delete(letter)
        fact = DeadLetterRemoved(
            dead_letter_id=letter.id, run_id=letter.run_id, name=letter.run_name, kind=letter.kind
        )
        events.record(self._session, self._caller, fact)


def _what_instead(letter: DeadLetter) -> str:
    if letter.retry_run_id is None:
        return "Its task is in the queue again; a worker node takes it from there."
    return (
        f"The run {letter.retry_run_id} was started in its place; should that fail too, it lies "
        "here by itself."
    )
