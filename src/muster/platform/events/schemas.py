"""Request and response bodies of the event log."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from muster.kernel.paging import CursorParams
from muster.kernel.schemas import Out, UtcTime
from muster.platform.events.models import EventRecord
from muster.platform.events.patterns import split_patterns

MAX_SEQ = 2**31 - 1


def _checked(text: str) -> str:
    return ",".join(split_patterns(text))


def _in_utc(moment: datetime) -> datetime:
    """Read a moment without a zone as UTC."""
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is outside of the calendar") from error


TypeFilter = Annotated[str, Field(max_length=2000), AfterValidator(_checked)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class EventList(CursorParams):
    """Filters of the event log."""

    type: Annotated[
        TypeFilter | None,
        Field(
            description="Types, separated by commas, exact or with `*`.",
            examples=["run.failed,agent.*"],
        ),
    ] = None
    subject_type: Annotated[
        str | None, Field(max_length=40, description="What kind of thing it is about.")
    ] = None
    subject_id: Annotated[str | None, Field(max_length=128, description="Id of that thing.")] = None
    actor_id: Annotated[str | None, Field(max_length=64, description="Id of who caused it.")] = None
    created_from: Annotated[Moment | None, Field(description="Recorded at or after.")] = None
    created_to: Annotated[Moment | None, Field(description="Recorded at or before.")] = None
    after_seq: Annotated[
        int | None, Field(ge=0, le=MAX_SEQ, description="Numbers above this one.")
    ] = None
    order: Annotated[Literal["asc", "desc"], Field(description="`desc`: newest first.")] = "desc"


class AuditList(EventList):
    """Filters of the audit log of the whole installation."""

    project_id: Annotated[
        str | None,
        Field(
            max_length=36,
            description="Events of this project; `platform`: those that concern no project.",
        ),
    ] = None


class ActorOut(BaseModel):
    """Who caused an event."""

    kind: Annotated[str, Field(description="`user`, `user_key`, `agent_key` or `system`.")]
    id: Annotated[str, Field(description="Id of the user, or of the key that was used.")]
    name: str


class SubjectOut(BaseModel):
    """What an event is about."""

    type: str
    id: str | None


class EventOut(Out):
    """One fact. `event`, `group_id` and `timestamp` say the same as their neighbours."""

    id: Annotated[str, Field(description="UUIDv7.")]
    seq: Annotated[int, Field(description="Number within the chain, from 1 without a gap.")]
    type: str
    event: str
    project_id: Annotated[str | None, Field(description="Null in the chain of the platform.")]
    group_id: str | None
    actor: ActorOut
    subject: SubjectOut
    data: dict[str, Any]
    request_id: str | None
    created_at: UtcTime
    timestamp: UtcTime
    hash: Annotated[str, Field(description="SHA-256 of all fields and of the hash before.")]
    previous_hash: str

    @classmethod
    def of(cls, row: EventRecord) -> "EventOut":
        """Show a row."""
        return cls(
            id=row.id,
            seq=row.seq,
            type=row.type,
            event=row.type,
            project_id=row.project_id,
            group_id=row.project_id,
            actor=ActorOut(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
            subject=SubjectOut(type=row.subject_type, id=row.subject_id),
            data=row.data,
            request_id=row.request_id,
            created_at=row.created_at,
            timestamp=row.created_at,
            hash=row.hash,
            previous_hash=row.previous_hash,
        )


class AuditVerifyParams(BaseModel):
    """Which chain to verify."""

    project_id: Annotated[
        str | None,
        Field(max_length=36, description="Chain of this project; absent: that of the platform."),
    ] = None


class EventVerificationOut(Out):
    """Whether a chain of events is as it was written."""

    valid: bool
    events: Annotated[int, Field(description="Events found to be right, from the first on.")]
    head_seq: Annotated[int, Field(description="Number of the newest event.")]
    head_hash: Annotated[str, Field(description="Keep it: it proves this state of the chain.")]
    first_bad_seq: int | None
    problem: Annotated[
        Literal["changed", "missing", "reordered", "truncated", "head"] | None,
        Field(description="Kind of the first problem."),
    ]
    reason: str | None
