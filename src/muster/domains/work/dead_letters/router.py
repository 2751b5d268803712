"""HTTP surface of dead letters."""

from typing import Annotated

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from muster.domains.control.access_rules import AccessDeniedByRule
from muster.domains.work.dead_letters.errors import (
    DeadLetterNotFound,
    DeadLetterRefused,
    DeadLetterRetried,
    DeadLetterTaken,
    DeadLetterTaskGone,
)
from muster.domains.work.dead_letters.models import DeadLetter
from muster.domains.work.dead_letters.schemas import (
    DeadLetterCreate,
    DeadLetterList,
    DeadLetterOut,
    DeadLetterStats,
    RetryAllOut,
    RetryAllRequest,
    RetryOut,
    RetryProblem,
)
from muster.domains.work.dead_letters.service import DeadLetterService
from muster.domains.work.runs import RunNotFound, RunService, mask
from muster.domains.work.tasks import TaskAtWork, TaskNotReady, TaskService
from muster.kernel.errors import AppError
from muster.kernel.http import Db, Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/dead-letter", tag="Dead letters")

CanRead = Annotated[Caller, requires(Scope.DEAD_LETTERS_READ)]
CanWrite = Annotated[Caller, requires(Scope.DEAD_LETTERS_WRITE)]


async def _reader(session: Reading, caller: CanRead) -> DeadLetterService:
    return DeadLetterService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> DeadLetterService:
    return DeadLetterService(session, caller)


def _runs(connection: HTTPConnection, session: AsyncSession, caller: Caller) -> RunService:
    state = connection.app.state
    timeout_s = int(state.settings.runs.timeout_s)
    return RunService(session, caller, state.run_parts, timeout_s=timeout_s)


def _tasks(connection: HTTPConnection, session: AsyncSession, caller: Caller) -> TaskService:
    return TaskService(session, caller, connection.app.state.master_key)


async def _connection(connection: HTTPConnection) -> HTTPConnection:
    return connection


Reader = Annotated[DeadLetterService, Depends(_reader)]
Writer = Annotated[DeadLetterService, Depends(_writer)]
Connection = Annotated[HTTPConnection, Depends(_connection)]


def _shown(letter: DeadLetter) -> DeadLetterOut:
    values = {
        name: getattr(letter, name)
        for name in DeadLetterOut.model_fields
        if name not in {"task_id", "group_id", "inputs"}
    }
    return DeadLetterOut(
        **values,
        task_id=letter.run_id,
        group_id=letter.project_id,
        inputs=mask(letter.inputs),
    )


def _retry_out(letter: DeadLetter, run_id: str | None) -> RetryOut:
    return RetryOut(
        id=letter.id,
        status=letter.status,  # pyright: ignore[reportArgumentType]
        run_id=letter.run_id,
        retry_run_id=run_id,
        execution_id=run_id,
    )


@router.get("")
async def list_dead_letters(
    letters: Reader, params: Annotated[DeadLetterList, Query()]
) -> Page[DeadLetterOut]:
    """List runs that failed for good, the newest failure first, with their whole context."""
    rows = await letters.list(params)
    items = [_shown(letter) for letter in rows.items]
    shown = Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)
    return Page[DeadLetterOut].model_validate(shown, from_attributes=True)


@router.post(
    "",
    status_code=201,
    responses=problems(RunNotFound, DeadLetterRefused, DeadLetterTaken),
)
async def add_dead_letter(letters: Writer, body: DeadLetterCreate) -> DeadLetterOut:
    """Lay a run that has ended down by hand, such as one whose result is of no use."""
    return _shown(await letters.add(body))


@router.get("/stats")
async def get_dead_letter_stats(letters: Reader) -> DeadLetterStats:
    """Count the dead letters of the project: by status, kind, error and agent."""
    return await letters.stats()


@router.post("/retry-all")
async def retry_all_dead_letters(
    caller: CanWrite,
    database: Db,
    connection: Connection,
    body: RetryAllRequest | None = None,
) -> RetryAllOut:
    """Start again what waits, the oldest first, each in a commit of its own.

    At most `limit` in one call; `remaining` says how many wait after it. One that cannot be started
    is named with the reason and stays.
    """
    wanted, retried = body or RetryAllRequest(), 0
    problems_: list[RetryProblem] = []
    async with database.read() as session:
        ids = await DeadLetterService(session, caller).waiting(wanted)
    for letter_id in ids:
        try:
            async with database.write() as session:
                letters = DeadLetterService(session, caller)
                runs = _runs(connection, session, caller)
                await letters.retry(letter_id, runs, _tasks(connection, session, caller))
            retried += 1
        except (DeadLetterNotFound, DeadLetterRetried):
            continue  # somebody else was here meanwhile
        except AppError as error:
            problems_.append(RetryProblem(id=letter_id, code=error.code, message=error.detail))
    async with database.read() as session:
        remaining = await DeadLetterService(session, caller).count_waiting(wanted)
    return RetryAllOut(
        retried=retried, failed=len(problems_), remaining=remaining, problems=problems_
    )


@router.get("/{letter_id}", responses=problems(DeadLetterNotFound))
async def get_dead_letter(letters: Reader, letter_id: str) -> DeadLetterOut:
    """Get a dead letter with its whole context."""
    return _shown(await letters.get(letter_id))


@router.post(
    "/{letter_id}/retry",
    responses=problems(
        DeadLetterNotFound,
        DeadLetterRetried,
        DeadLetterTaskGone,
        RunNotFound,
        TaskAtWork,
        TaskNotReady,
        AccessDeniedByRule,
    ),
)
async def retry_dead_letter(
    caller: CanWrite, session: Writing, connection: Connection, letter_id: str
) -> RetryOut:
    """Start the same again as a new run: same definition, same inputs, from the beginning.

    A task that a worker node has failed goes back in the queue, as it is now.
    """
    letters = DeadLetterService(session, caller)
    runs, tasks = _runs(connection, session, caller), _tasks(connection, session, caller)
    return _retry_out(*await letters.retry(letter_id, runs, tasks))


@router.delete("/{letter_id}", status_code=204, responses=problems(DeadLetterNotFound))
async def delete_dead_letter(letters: Writer, letter_id: str) -> None:
    """Take a dead letter away; its run stays in the history."""
    await letters.delete(letter_id)
