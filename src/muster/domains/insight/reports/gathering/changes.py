"""Changes of access, policies and configuration in a period, as the project's events tell."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Text, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.document import ChangeRow, Changes
from muster.domains.insight.reports.extent import Extent
from muster.domains.insight.reports.gathering.incidents import counts
from muster.platform.events import EventRecord

MOST_CHANGES = 500
_BATCH = 500
_LONGEST_VALUE = 120
_KINDS = (
    "project.",
    "api_key.",
    "secret.",
    "access_rule.",
    "policy.",
    "action.",
    "agent.",
    "model.",
    "tool.",
    "budget.",
    "circuit_breaker.",
    "audit.",
    "report.deleted",
)
# States that come and go by themselves, and what changes nothing.
_NO_CHANGES = (
    "agent.status",
    "tool.tested",
    "budget.threshold_reached",
    "budget.exceeded",
    "circuit_breaker.opened",
    "circuit_breaker.closed",
)


async def read_changes(session: AsyncSession, extent: Extent) -> Changes:
    """Count the changes in the period, and keep the newest."""
    query = (
        select(
            EventRecord.seq,
            EventRecord.created_at,
            EventRecord.type,
            EventRecord.actor_name,
            EventRecord.subject_type,
            EventRecord.subject_id,
            # As text: one that somebody has made unreadable must not hide all others.
            cast(EventRecord.data, Text).label("data"),
        )
        .where(
            EventRecord.chain == extent.project_id,
            extent.during(EventRecord.created_at),
            or_(*(EventRecord.type.startswith(kind, autoescape=True) for kind in _KINDS)),
            EventRecord.type.not_in(_NO_CHANGES),
        )
        .order_by(EventRecord.seq.desc())
        .limit(_BATCH)
    )
    types, rows = Counter[str](), list[ChangeRow]()
    after: int | None = None
    while True:
        batch = query if after is None else query.where(EventRecord.seq < after)
        found = (await session.execute(batch)).all()
        for row in found:
            types[row.type] += 1
            if len(rows) < MOST_CHANGES:
                rows.append(_row(row))
        if len(found) < _BATCH:
            return Changes(total=types.total(), by_type=counts(types), rows=rows)
        after = found[-1].seq


def _row(row: Any) -> ChangeRow:
    data = _read(row.data)
    return ChangeRow(
        seq=row.seq,
        at=row.created_at,
        type=row.type,
        by=row.actor_name,
        subject=_subject(data, row.subject_type, row.subject_id),
        detail=_detail(data),
    )


def _read(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"content": "unreadable"}


def _subject(data: Mapping[str, Any], kind: str, id: str | None) -> str:
    for name in ("name", "title", "email", "key"):
        if isinstance(data.get(name), str):
            return str(data[name])
    return id or kind


def _detail(data: Mapping[str, Any]) -> str:
    told = {
        name: value
        for name, value in data.items()
        if value not in (None, [], {}, "")
        and name not in {"name", "title", "email"}
        and not name.endswith("_id")
    }
    return ", ".join(f"{name.replace('_', ' ')}: {_short(value)}" for name, value in told.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    text = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else value
    text = str(text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
