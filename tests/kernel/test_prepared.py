"""Statements that are compiled once, on both databases."""

from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, update

from muster.kernel import clock
from muster.kernel.db import Database, Prepared
from muster.kernel.ids import new_id
from tests.kernel.things import THINGS

pytestmark = pytest.mark.anyio

ADD = Prepared(insert(THINGS))
RISE = Prepared(
    update(THINGS)
    .where(THINGS.c.name == bindparam("which"), THINGS.c.rank < 100)
    .values(rank=THINGS.c.rank + bindparam("by"), updated_at=bindparam("at"))
)
RANKS = Prepared(select(THINGS.c.name, THINGS.c.rank).order_by(THINGS.c.name))


def a_thing(project_id: str, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {column.key: None for column in THINGS.columns}
    moment = clock.now()
    row |= {"id": new_id(), "project_id": project_id, "created_at": moment, "updated_at": moment}
    return {**row, **fields}


async def test_values_go_through_the_types_of_their_columns(
    database: Database, projects: tuple[str, str]
) -> None:
    things = [
        a_thing(projects[0], name=name, rank=rank, data={"é": [rank]})
        for name, rank in (("a", 1), ("b", 2), ("c", 100))
    ]

    def work(connection: Any) -> list[tuple[str, int]]:
        ADD.execute(connection, *things)
        at = clock.now()
        rises = [{"which": name, "by": 5, "at": at} for name in "ac"]
        RISE.execute(connection, *rises)
        RISE.execute(connection, {"which": "b", "by": 1, "at": at})
        return [tuple(row) for row in RANKS.execute(connection, {})]

    assert await database.transact(work) == [("a", 6), ("b", 3), ("c", 100)]
    async with database.read() as session:
        query = select(THINGS.c.data, THINGS.c.created_at).order_by(THINGS.c.name)
        stored = [tuple(row) for row in (await session.execute(query)).all()]
    assert stored == [(thing["data"], thing["created_at"]) for thing in things]


async def test_a_missing_value_is_no_null(database: Database, projects: tuple[str, str]) -> None:
    thing = a_thing(projects[0], name="a", rank=1)
    del thing["name"]
    with pytest.raises(KeyError, match="name"):
        await database.transact(lambda connection: ADD.execute(connection, thing))
