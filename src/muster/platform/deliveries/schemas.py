"""Response bodies and filters of deliveries."""

from typing import Annotated, Any, Literal

from pydantic import Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import Out, RecordOut, UtcTime

Status = Literal["pending", "delivering", "delivered", "dead"]


class DeliveryList(ListParams):
    """Filters of a list of deliveries."""

    status: Annotated[
        Status | None, Field(description="Only with this status; `dead` ones were given up.")
    ] = None
    event_type: Annotated[
        str | None,
        Field(
            max_length=64, description="Only of this type of event.", examples=["incident.opened"]
        ),
    ] = None


class DeliveryOut(RecordOut):
    """One message to one receiver, and how far it came."""

    source_kind: str
    source_id: Annotated[str, Field(description="Of the action that sends it.")]
    event_id: str | None
    event_seq: Annotated[int | None, Field(description="Number of the event in the project.")]
    event_type: str
    status: Status
    attempts: Annotated[int, Field(description="That have begun.")]
    max_attempts: Annotated[int, Field(description="After which it is given up.")]
    next_attempt_at: Annotated[UtcTime | None, Field(description="Null unless it waits for one.")]
    last_error: Annotated[str | None, Field(description="Of the last attempt, or why it waits.")]
    delivered_at: UtcTime | None


class AttemptOut(Out):
    """One attempt at a delivery."""

    number: int
    at: UtcTime
    duration_ms: int | None
    outcome: Annotated[
        Literal["delivered", "failed", "refused", "interrupted"],
        Field(description="`interrupted` where the process that made it has died."),
    ]
    status_code: Annotated[int | None, Field(description="That the receiver answered.")]
    error: str | None


class DeliveryDetail(DeliveryOut):
    """A delivery with what is sent and every attempt, oldest first."""

    message: dict[str, Any]
    log: list[AttemptOut]
