"""Lists by offset and by cursor."""

import base64
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.orm import InstrumentedAttribute

from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.kernel.paging import (
    BadCursor,
    CursorPage,
    CursorParams,
    ListParams,
    Page,
    Rows,
    page_of,
    paginate,
)
from tests.kernel.things import Thing, Things

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 1, tzinfo=UTC)


async def add(database: Database, project_id: str, *ranks: int) -> None:
    async with database.write() as session:
        things = Things(session, project_id)
        for rank in ranks:
            moment = START + timedelta(seconds=rank)
            await things.add(name=new_id(), rank=rank, seen_at=moment)


async def page(
    database: Database,
    project_id: str,
    params: ListParams,
    column: InstrumentedAttribute[Any] = Thing.rank,
    *,
    descending: bool = False,
) -> Rows[Thing]:
    async with database.read() as session:
        query = Things(session, project_id).query()
        sort = (column, descending)
        return await paginate(session, query, params, sort=sort, tiebreak=Thing.id)


async def walk(
    database: Database, project_id: str, column: InstrumentedAttribute[Any], **options: Any
) -> list[Thing]:
    found: list[Thing] = []
    cursor: str | None = None
    while True:
        params = CursorParams(limit=3, cursor=cursor)
        rows = await page(database, project_id, params, column, **options)
        found += rows.items
        assert rows.total == (11 if cursor is None else None)
        assert (rows.limit, rows.offset) == (3, 0)
        assert rows.has_more == (rows.next_cursor is not None)
        if rows.next_cursor is None:
            return found
        cursor = rows.next_cursor


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["rank", "seen_at", "name", "created_at"])
async def test_cursors_pass_over_ties_and_miss_nothing(
    database: Database, projects: tuple[str, str], name: str, descending: bool
) -> None:
    await add(database, projects[0], *[1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4])
    await add(database, projects[1], 2)
    column = getattr(Thing, name)
    found = await walk(database, projects[0], column, descending=descending)
    keys = [(getattr(thing, name), thing.id) for thing in found]
    assert len(set(keys)) == 11
    assert keys == sorted(keys, reverse=descending)


async def test_cursors_are_stable_under_inserts(
    database: Database, projects: tuple[str, str]
) -> None:
    await add(database, projects[0], 10, 20, 30, 40)
    first = await page(database, projects[0], CursorParams(limit=2))
    await add(database, projects[0], 1, 15, 25)
    second = await page(database, projects[0], CursorParams(limit=2, cursor=first.next_cursor))
    third = await page(database, projects[0], CursorParams(limit=2, cursor=second.next_cursor))
    ranks = [[thing.rank for thing in rows.items] for rows in (first, second, third)]
    assert ranks == [[10, 20], [25, 30], [40]]
    assert (third.has_more, third.next_cursor) == (False, None)


async def test_offsets_over_ties(database: Database, projects: tuple[str, str]) -> None:
    await add(database, projects[0], *[5] * 7)
    pages = [
        await page(database, projects[0], ListParams(limit=3, offset=offset))
        for offset in (0, 3, 6, 9)
    ]
    ids = [thing.id for rows in pages for thing in rows.items]
    assert ids == sorted(set(ids))
    assert [(len(rows.items), rows.total, rows.offset, rows.has_more) for rows in pages] == [
        (3, 7, 0, True),
        (3, 7, 3, True),
        (1, 7, 6, False),
        (0, 7, 9, False),
    ]
    assert [rows.next_cursor for rows in pages] == [None] * 4


async def test_an_offset_page_of_a_long_list_leads_to_cursors(
    database: Database, projects: tuple[str, str]
) -> None:
    await add(database, projects[0], 1, 2, 3, 4)
    rows = await page(database, projects[0], CursorParams(limit=1, offset=2))
    assert (rows.total, rows.offset) == (4, 2)
    after = await page(database, projects[0], CursorParams(limit=5, cursor=rows.next_cursor))
    assert [thing.rank for thing in after.items] == [4]


async def test_an_empty_list(database: Database, projects: tuple[str, str]) -> None:
    rows = await page(database, projects[0], CursorParams())
    assert rows == Rows([], 0, 50, 0, False, None)


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


MALFORMED = [
    "x",
    "****",
    "é",
    "\ud800",
    "e30",
    encoded({"a": 1}),
    encoded([]),
    encoded([1]),
    encoded([1, "id", 2]),
    encoded(["no number", "id"]),
    encoded([None, "id"]),
    encoded([1.5, "id"]),
    encoded([1, {}]),
    encoded([[[[1]]], "id"]),
    "W" * 400,
    encoded([2**70, "id"]),
    encoded([1, "a\0b"]),
]


async def test_malformed_cursors(database: Database, projects: tuple[str, str]) -> None:
    for cursor in MALFORMED:
        with pytest.raises(BadCursor) as bad:
            await page(database, projects[0], CursorParams.model_construct(cursor=cursor, limit=5))
        assert (bad.value.status, bad.value.code) == (400, "bad_cursor")
    for moment in ("0001-01-01T00:00:00+14:00", "tomorrow", 1e300, True):
        params = CursorParams(cursor=encoded([moment, "id"]))
        with pytest.raises(BadCursor):
            await page(database, projects[0], params, Thing.seen_at)


@pytest.mark.parametrize(
    "values",
    [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"offset": 2**31}, {"cursor": "x" * 501}],
)
def test_bounds_of_the_parameters(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CursorParams(**values)


def test_a_page_of_what_is_at_hand() -> None:
    assert page_of("abcde", ListParams(limit=2)) == Rows(["a", "b"], 5, 2, 0, True)
    assert page_of("abcde", ListParams(limit=2, offset=3)) == Rows(["d", "e"], 5, 2, 3, False)
    assert page_of("abcde", ListParams(limit=2, offset=9)) == Rows([], 5, 2, 9, False)


def test_pages_are_named_after_what_they_hold() -> None:
    class AgentOut(BaseModel): ...

    assert Page[AgentOut].__name__ == "AgentPage"
    assert CursorPage[AgentOut].__name__ == "AgentCursorPage"
    assert Page[int].__name__ == "intPage"


class _Colour(StrEnum):
    RED = "red"


class _Filtered(ListParams):
    status: Annotated[Literal["open", "Shut"] | None, Field(description="d")] = None
    colour: _Colour | None = None
    search: str | None = None


def test_words_of_filters_are_taken_in_any_case() -> None:
    params = _Filtered.model_validate({"status": "OPEN", "colour": "Red", "search": "OPEN"})
    assert (params.status, params.colour, params.search) == ("open", _Colour.RED, "OPEN")
    assert _Filtered.model_validate({"status": "Shut", "limit": "5"}).status == "Shut"
    with pytest.raises(ValidationError):
        _Filtered.model_validate({"status": "ajar"})
