"""Request and response bodies of reports."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, RecordOut, UtcTime

Format = Literal["pdf", "xml", "json"]
Status = Literal["queued", "running", "completed", "failed"]
Environment = Literal["development", "qa", "staging", "production"]

_LONGEST = timedelta(days=5 * 366)
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_ISO = re.compile(r"\d{4}-\d\d-\d\d")


def _written_out(value: Any) -> Any:
    """Refuse bare numbers, which could be seconds or milliseconds or a year."""
    if not isinstance(value, str) or not _ISO.match(value):
        raise ValueError("must be a time such as 2026-11-01T00:00:00Z, or a day such as 2026-11-01")
    return value


Moment = Annotated[datetime, BeforeValidator(_written_out)]


class ReportCreate(In):
    """What to report on."""

    format: Annotated[Format, Field(description="What it is made as.", examples=["pdf"])] = "pdf"
    period_from: Annotated[
        Moment,
        Field(
            alias="from",
            description="Not before this moment, or day in UTC.",
            examples=["2026-10-01T00:00:00Z"],
        ),
    ]
    period_to: Annotated[
        Moment,
        Field(
            alias="to",
            description="Before this moment, or day in UTC; at most five years later.",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ]
    title: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="On the cover.", examples=["October 2026"]),
    ] = None
    agent_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=36)]] | None,
        Field(
            min_length=1, max_length=200, description="Only what these agents did.", examples=[None]
        ),
    ] = None
    environment: Annotated[
        Environment | None,
        Field(description="Only what agents of this environment did.", examples=[None]),
    ] = None
    framework: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Policy template to map to; absent: all that are applied.",
            examples=["owasp_agentic_default"],
        ),
    ] = None

    @field_validator("period_from", "period_to")
    @classmethod
    def _computable(cls, moment: datetime) -> datetime:
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise ValueError(f"must be in a year between {_FIRST_YEAR} and {_LAST_YEAR}")
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.period_from >= self.period_to:
            raise ValueError("'from' must be before 'to'")
        if self.period_to - self.period_from > _LONGEST:
            raise ValueError("'to' must be at most five years after 'from'")
        return self


class ReportList(ListParams):
    """Filters of the list of reports."""

    status: Annotated[Status | None, Field(description="Only these.")] = None
    format: Annotated[Format | None, Field(description="Only of this format.")] = None


class ReportOut(RecordOut):
    """A report and how far it is."""

    title: str
    format: str
    period_from: Annotated[UtcTime, Field(serialization_alias="from")]
    period_to: Annotated[UtcTime, Field(serialization_alias="to")]
    agent_ids: list[str] | None
    environment: str | None
    framework: str | None
    status: Status
    progress: Annotated[int, Field(description="Percent.")]
    phase: Annotated[
        str, Field(description="waiting, reading, verifying, rendering, storing, done or failed.")
    ]
    error: Annotated[str | None, Field(description="Why it failed.")]
    as_of: Annotated[UtcTime | None, Field(description="The moment whose state it tells.")]
    started_at: UtcTime | None
    completed_at: UtcTime | None
    size: Annotated[int | None, Field(description="Bytes of the file.")]
    sha256: Annotated[str | None, Field(description="Digest of the file, hexadecimal.")]
    created_by_id: str
    created_by_name: str
