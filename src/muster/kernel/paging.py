"""Lists: a limit and an offset for all, a cursor for the long ones."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, field_validator
from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from muster.kernel.errors import BadRequest

T = TypeVar("T")

MAX_OFFSET = 2**31 - 1
_LIMIT_OF_INTEGERS = 2**63


class BadCursor(BadRequest):
    code, title = "bad_cursor", "The cursor is malformed; start again without one"


class ListParams(BaseModel):
    """Query parameters that every list takes."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=200, description="Items per page.")] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET, description="Items to skip.")] = 0

    @field_validator("*", mode="before")
    @classmethod
    def _in_any_case(cls, value: Any, field: ValidationInfo) -> Any:
        """Take a word that a filter offers in upper case, too."""
        words = _words_of(cls.model_fields[field.field_name or ""].annotation)
        lowered = value.lower() if isinstance(value, str) else None
        return lowered if lowered in words and value not in words else value


@cache
def _words_of(annotation: Any) -> frozenset[Any]:
    """Return the words that a type consists of: those of literals and enumerations in it."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return frozenset(member.value for member in annotation)
    if get_origin(annotation) is Literal:
        return frozenset(get_args(annotation))
    return frozenset[Any]().union(*(_words_of(inner) for inner in get_args(annotation)))


class CursorParams(ListParams):
    """Query parameters of the long lists, which can be followed by cursor as well."""

    cursor: Annotated[
        str | None,
        Field(max_length=500, description="`next_cursor` of the page before; replaces `offset`."),
    ] = None


def _page_name(page: str, params: tuple[Any, ...]) -> str:
    return getattr(params[0], "__name__", str(params[0])).removesuffix("Out") + page


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the name of the page in the API description."""
        return _page_name(cls.__name__, params)

    items: list[T]
    total: Annotated[int, Field(description="Items that match the filters, on all pages.")]
    limit: int
    offset: int
    has_more: bool


class CursorPage(BaseModel, Generic[T]):
    """One page of a long list; `total` is left out when a cursor is used."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the name of the page in the API description."""
        return _page_name(cls.__name__, params)

    items: list[T]
    total: Annotated[int | None, Field(description="Null when a cursor was given.")]
    limit: int
    offset: int
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


SortKey = tuple[InstrumentedAttribute[Any], bool]
"""A column and whether it sorts descending."""


@dataclass(slots=True)
class Rows(Generic[T]):
    """One page of rows before serialization; has the fields of `Page` and of `CursorPage`."""

    items: list[T]
    total: int | None
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None = None


def page_of(items: Sequence[T], params: ListParams) -> Rows[T]:
    """Cut a page out of a list that is at hand as a whole."""
    end = params.offset + params.limit
    return Rows(
        list(items[params.offset : end]), len(items), params.limit, params.offset, len(items) > end
    )


def _encode(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(values))).decode().rstrip("=")


def _decode(cursor: str, columns: Sequence[InstrumentedAttribute[Any]]) -> list[ColumnElement[Any]]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = msgspec.json.decode(raw, type=list[Any])
        parsed = [
            _storable(TypeAdapter[Any](column.type.python_type).validate_python(value))
            for value, column in zip(values, columns, strict=True)
        ]
    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise BadCursor from error
    return [literal(v, column.type) for v, column in zip(parsed, columns, strict=True)]


def _storable(value: Any) -> Any:
    if isinstance(value, datetime):
        value.astimezone(UTC)  # fails for moments that have no place in UTC
    if isinstance(value, int) and abs(value) >= _LIMIT_OF_INTEGERS:
        raise OverflowError
    if isinstance(value, str) and "\0" in value:
        raise ValueError
    return value


async def paginate(
    session: AsyncSession,
    statement: Select[Any],
    params: ListParams,
    *,
    sort: SortKey,
    tiebreak: InstrumentedAttribute[Any],
) -> Rows[Any]:
    """Return one page of `statement` in the order of `sort`, ties broken by `tiebreak`."""
    column, descending = sort
    columns = [column, tiebreak]
    order = [c.desc() if descending else c.asc() for c in columns]
    cursor = params.cursor if isinstance(params, CursorParams) else None
    total: int | None = None
    paged = statement
    if cursor:
        key: ColumnElement[Any] = tuple_(*columns)
        after = tuple_(*_decode(cursor, columns))
        paged = paged.where(key < after if descending else key > after)
    else:
        count = select(func.count()).select_from(statement.order_by(None).subquery())
        total = await session.scalar(count) or 0
        paged = paged.offset(params.offset)
    found = (await session.scalars(paged.order_by(*order).limit(params.limit + 1))).all()
    items = list(found[: params.limit])
    more = len(found) > params.limit
    following = None
    if more and isinstance(params, CursorParams):
        following = _encode([getattr(items[-1], c.key) for c in columns])
    offset = 0 if cursor else params.offset
    return Rows(items, total, params.limit, offset, more, following)
