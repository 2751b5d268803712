"""Base classes for request and response bodies."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from muster.kernel import clock

UtcTime = Annotated[
    datetime, PlainSerializer(clock.iso, return_type=str, when_used="json-unless-none")
]
"""A moment; in JSON it is ISO 8601 in UTC with `Z`."""

JsonObject = dict[str, Any]


class In(BaseModel):
    """A request body: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, populate_by_name=True)


class Out(BaseModel):
    """A response body, read from a row. No field has a default: all are always sent."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)


class RecordOut(Out):
    """A response body of something that is stored."""

    id: Annotated[str, Field(description="UUIDv7.")]
    created_at: UtcTime
    updated_at: UtcTime


class Message(BaseModel):
    """A plain confirmation."""

    message: str
