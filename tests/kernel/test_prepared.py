"""Statements that are compiled once, on both databases."""

from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from muster.kernel import clock
from muster.kernel.db import Database, Prepared, is_unique_violation
from muster.kernel.ids import new_id
from tests.kernel.things import THINGS, Thing

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


async def test_a_unit_of_work_sends_its_changes_before_the_statement(
    database: Database, projects: tuple[str, str]
) -> None:
    async with database.write() as session:
        session.add(Thing(project_id=projects[0], name="a", rank=1, data={}))
        await RISE.within(session, which="a", by=2, at=clock.now())
        assert [tuple(row) for row in await RANKS.within(session)] == [("a", 3)]
    async with database.read() as session:
        assert (await session.execute(select(THINGS.c.rank))).scalar_one() == 3


@pytest.mark.parametrize("many", [2, 50])
async def test_a_broken_constraint_is_the_error_of_the_library_and_takes_everything_back(
    database: Database, projects: tuple[str, str], many: int
) -> None:
    things = [a_thing(projects[0], name=f"{number:02}", rank=1) for number in range(many)]
    doubled = [*things, things[0]]

    with pytest.raises(IntegrityError) as broken:
        await database.transact(lambda connection: ADD.execute(connection, *doubled))
    assert is_unique_violation(broken.value)
    with pytest.raises(IntegrityError) as broken:
        async with database.connect() as connection:
            await connection.run_sync(ADD.execute, *doubled)
    assert is_unique_violation(broken.value)
    async with database.write() as session:
        for thing in things:
            await ADD.within(session, **thing)
    async with database.write() as session:
        with pytest.raises(IntegrityError) as broken:
            await ADD.within(session, **things[0])
        await session.rollback()
    assert is_unique_violation(broken.value)
    async with database.read() as session:
        assert len((await session.execute(select(THINGS.c.name))).all()) == many
