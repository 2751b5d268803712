"""Queries on logged steps, in the tasks of one project."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal import Run, Step
from muster.domains.work.logs.errors import TaskAmbiguous, TaskNotFound
from muster.domains.work.logs.models import ExternalTask
from muster.domains.work.logs.schemas import LogList, TaskStepList
from muster.kernel import clock
from muster.kernel.paging import BadCursor, CursorParams, Rows

_EXTERNAL = "external"
_NOT_SHOWN = {"project_id", "key", "parent_key", "segment"}
_COLUMNS = (
    *(column for column in Step.__table__.columns if column.key not in _NOT_SHOWN),
    Run.kind.label("run_kind"),
    ExternalTask.task_id,
)
_NEWEST = (Step.ended_at, Step.run_id, Step.seq)


class LogRepository:
    """The steps of one project, whoever has done them."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._session, self._project_id = session, project_id

    def _steps(self) -> Select[*tuple[Any, ...]]:
        return (
            select(*_COLUMNS)
            .join(Run, Run.id == Step.run_id)
            .outerjoin(ExternalTask, ExternalTask.run_id == Step.run_id)
            .where(Step.project_id == self._project_id)
        )

    async def search(self, params: LogList) -> Rows[Row[Any]]:
        """Return steps that match the filters, newest first."""
        query = self._steps()
        if params.agent_id:
            query = query.where(Step.agent_id == params.agent_id)
        if params.task_id:
            query = query.where(Step.run_id.in_(self._runs_of(params.task_id)))
        if params.kind:
            query = query.where(Step.kind == params.kind.value)
        if params.status:
            query = query.where(Step.status == params.status.value)
        if params.from_:
            query = query.where(Step.ended_at >= params.from_)
        if params.to:
            query = query.where(Step.ended_at < params.to)
        if params.external is not None:
            external = Run.kind == _EXTERNAL
            query = query.where(external if params.external else ~external)
        paged = query.order_by(*(column.desc() for column in _NEWEST))
        if params.cursor:
            at, run_id, seq = _read(params.cursor)
            columns = zip((at, run_id, seq), _NEWEST, strict=True)
            paged = paged.where(
                tuple_(*_NEWEST) < tuple_(*(literal(v, c.type) for v, c in columns))
            )
        return await self._page(query, paged, params, _written)

    def _runs_of(self, task_id: str) -> Select[Any]:
        return (
            select(Run.id)
            .outerjoin(ExternalTask, ExternalTask.run_id == Run.id)
            .where(
                Run.project_id == self._project_id,
                or_(ExternalTask.task_id == task_id, Run.id == task_id),
            )
        )

    async def of_task(self, run: Run, params: TaskStepList) -> Rows[Row[Any]]:
        """Return the steps of a task, in order."""
        query = self._steps().where(Step.run_id == run.id)
        paged = query.order_by(Step.seq)
        if params.cursor:
            if not (params.cursor.isascii() and params.cursor.isdecimal()):
                raise BadCursor
            paged = paged.where(Step.seq > min(int(params.cursor[:10]), 2**31 - 1))
        return await self._page(query, paged, params, _number)

    async def _page(
        self, query: Any, paged: Any, params: CursorParams, position: Callable[[Row[Any]], str]
    ) -> Rows[Row[Any]]:
        total, offset = None, 0
        if not params.cursor:
            count = select(func.count()).select_from(query.with_only_columns(Step.seq).subquery())
            total, offset = await self._session.scalar(count) or 0, params.offset
        found = (await self._session.execute(paged.offset(offset).limit(params.limit + 1))).all()
        rows = list(found[: params.limit])
        more = len(found) > params.limit
        following = position(rows[-1]) if more else None
        return Rows(rows, total, params.limit, offset, more, following)

    async def task(self, task_id: str, agent_id: str | None) -> tuple[Run, str]:
        """Return the run of a task and the id by which the agent knows it.

        Raises `TaskNotFound`, and `TaskAmbiguous` where several agents use the id.
        """
        query = (
            select(Run, ExternalTask.task_id)
            .outerjoin(ExternalTask, ExternalTask.run_id == Run.id)
            .where(
                Run.project_id == self._project_id,
                or_(ExternalTask.task_id == task_id, Run.id == task_id),
            )
        )
        if agent_id:
            query = query.where(Run.agent_id == agent_id)
        found = (await self._session.execute(query.limit(2))).all()
        if not found:
            raise TaskNotFound
        if len(found) > 1:
            raise TaskAmbiguous("Several agents have a task with this id; say whose by agent_id.")
        run, named = found[0]
        return run, named or run.id


def _number(row: Row[Any]) -> str:
    return str(row.seq)


def _written(row: Row[Any]) -> str:
    values = [clock.iso(row.ended_at), row.run_id, row.seq]
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def _read(cursor: str) -> tuple[datetime, str, int]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, run_id, seq = msgspec.json.decode(raw, type=tuple[datetime, str, int])
        at.astimezone(clock.now().tzinfo)
    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise BadCursor from error
    if "\0" in run_id or not 0 <= seq < 2**31:
        raise BadCursor
    return at, run_id, seq
