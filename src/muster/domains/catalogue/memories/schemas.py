"""Request and response bodies of memories."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import MISSING, AfterValidator, Field

from muster.kernel import clock
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

MAX_MEMORIES = 1_000
"""Most memories of one agent."""
LONGEST_CONTENT = 4_000
GENERAL = "general"
_LONGEST_CATEGORY = 64
_MOST_FIELDS = 50
_DETAILS_BYTES = 16 * 1024
_NO_SLUG = re.compile(r"[^a-z0-9._-]+")


def category_of(text: str) -> str:
    """Return the category that is meant by a text which an agent wrote."""
    return _NO_SLUG.sub("-", text.lower())[:_LONGEST_CATEGORY].strip("._-") or GENERAL


def _future(moment: datetime) -> datetime:
    try:
        in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond what can be told in UTC") from None
    if in_utc <= clock.now():
        raise ValueError("must lie in the future")
    return in_utc


def _small(details: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(details)) > _DETAILS_BYTES:
        raise ValueError("must have at most 16 KB as JSON")
    return details


Content = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_CONTENT,
        description="What to remember.",
        examples=["The customer wants invoices as PDF."],
    ),
]
Category = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=_LONGEST_CATEGORY,
        description="One word of your own choice, in small letters; `general` when absent.",
        examples=["preference"],
    ),
    AfterValidator(str.lower),
]
Importance = Annotated[
    int, Field(ge=1, le=10, description="10: never to be forgotten. 1: of little use.")
]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Field(max_length=20, description="Words to find it by.", examples=[["invoices"]]),
]
Details = Annotated[
    dict[str, Any],
    Field(max_length=_MOST_FIELDS, description="Whatever else belongs to it, up to 16 KB."),
    AfterValidator(_small),
]
Source = Annotated[
    str | None, Field(max_length=255, description="Where it comes from.", examples=["support"])
]
ExpiresAt = Annotated[
    Annotated[UtcTime, AfterValidator(_future)] | None,
    Field(description="When it is forgotten; null: never."),
]


class MemoryCreate(In):
    """Something for an agent to remember."""

    content: Content
    category: Category = GENERAL
    importance: Importance = 5
    tags: Tags = []  # noqa: RUF012 - Pydantic copies it
    metadata: Details = {}  # noqa: RUF012 - Pydantic copies it
    source: Source = None
    expires_at: ExpiresAt = None


class MemoryPatch(In):
    """Changes of a memory; what is absent stays."""

    content: Content | MISSING = MISSING
    category: Category | MISSING = MISSING
    importance: Importance | MISSING = MISSING
    tags: Tags | MISSING = MISSING
    metadata: Details | MISSING = MISSING
    source: Source | MISSING = MISSING
    expires_at: ExpiresAt | MISSING = MISSING


class MemoryList(ListParams):
    """Filters of the list of memories."""

    category: Annotated[str | None, Field(max_length=64, description="Of this category.")] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Content or tags contain this.")
    ] = None
    min_importance: Annotated[
        int | None, Field(ge=1, le=10, description="At least this important.")
    ] = None
    sort: Annotated[
        Literal["newest", "importance"], Field(description="The newest or most important first.")
    ] = "newest"


class MemoryOut(RecordOut):
    """Something that an agent remembers."""

    agent_id: str
    content: str
    category: str
    importance: int
    tags: list[str]
    metadata: Annotated[dict[str, Any], Field(validation_alias="details")]
    source: str | None
    run_id: Annotated[str | None, Field(description="The run in which the agent kept it.")]
    expires_at: UtcTime | None
    access_count: Annotated[int, Field(description="How often it was recalled.")]
    last_accessed_at: UtcTime | None


class RecallParams(ListParams):
    """What to recall."""

    query: Annotated[str, Field(min_length=1, max_length=500, description="Words to look for.")]
    category: Annotated[str | None, Field(max_length=64, description="Of this category.")] = None
    limit: Annotated[int, Field(ge=1, le=50, description="Most memories to return.")] = 10
    offset: Annotated[int, Field(ge=0, le=MAX_MEMORIES, description="Memories to skip.")] = 0


class RecalledOut(MemoryOut):
    """A memory that fits what was asked for."""

    score: Annotated[float, Field(description="How well its words fit; comparable in one answer.")]


class MemoryStats(Out):
    """What an agent's memory holds."""

    agent_id: str
    total: int
    limit: Annotated[int, Field(description="Most memories that an agent can have.")]
    remaining: int
    by_category: dict[str, int]
    average_importance: float | None
    characters: Annotated[int, Field(description="Length of all contents together.")]
    access_count: Annotated[int, Field(description="How often anything was recalled.")]
    last_accessed_at: UtcTime | None
    oldest_at: UtcTime | None
    newest_at: UtcTime | None
