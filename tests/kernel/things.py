"""A table, a repository and an application of the tests' own, with nothing of the product's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

import anyio
import httpx2
from fastapi import Query, Response
from pydantic import AliasChoices, Field
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, String, Table, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CreateTable
from starlette.requests import HTTPConnection, Request
from starlette.responses import StreamingResponse

from muster.kernel.db import Database, Json, ProjectRecord, Repository, UTCDateTime
from muster.kernel.errors import BadRequest, Conflict, FieldError, Invalid, NotFound
from muster.kernel.http import App, Db, Reading, Router, Writing
from muster.kernel.ids import new_id
from muster.kernel.paging import CursorPage, CursorParams
from muster.kernel.schemas import In, JsonObject, RecordOut
from muster.platform.access import (
    Caller,
    CallerKind,
    PlatformRole,
    ProjectRole,
    Scope,
    identify,
    requires,
    scopes_of,
)
from muster.platform.projects import Project

# Apart from the product's: the schema of the product is compared with its migrations.
OWN = MetaData()
PROJECTS = Table("projects", OWN, Column("id", String(36), primary_key=True))


class NoSuchThing(NotFound):
    code, title = "thing_not_found", "No such thing in this project"


class ThingNameTaken(Conflict):
    code, title = "thing_name_taken", "The project has a thing of this name"


class Thing(ProjectRecord):
    metadata = OWN
    __tablename__ = "kernel_test_things"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(200))
    rank: Mapped[int] = mapped_column(BigInteger, default=0)
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    data: Mapped[JsonObject | None] = mapped_column(Json, default=None)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("kernel_test_things.id"), default=None)


THINGS = OWN.tables["kernel_test_things"]


class Things(Repository[Thing]):
    model = Thing
    missing = NoSuchThing
    taken = ThingNameTaken


async def make_table(database: Database) -> tuple[str, str]:
    """Make the table of things and two projects; return the ids of the projects."""
    async with database.connect() as connection:
        await connection.execute(CreateTable(THINGS))
    async with database.write() as session:
        projects = [Project(name="One"), Project(name="Other")]
        session.add_all(projects)
        await session.flush()
        return projects[0].id, projects[1].id


# --- an application ---------------------------------------------------------------------------

router = Router("/things", tag="things")
CanRead = Annotated[Caller, requires(Scope.AGENTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.AGENTS_WRITE, Scope.AGENTS_REGISTER)]


class ThingCreate(In):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    rank: int = 0
    data: JsonObject | None = None


class ThingOut(RecordOut):
    name: str
    rank: int
    seen_at: datetime | None
    data: JsonObject | None


class ThingList(CursorParams):
    named: Annotated[
        str | None, Field(validation_alias=AliasChoices("named", "called"), max_length=50)
    ] = None
    kind: Annotated[Literal["a", "b"] | None, Field(alias="type")] = None
    since: datetime | None = None


class Credentials(In):
    name: str
    password: Annotated[str, Field(min_length=8)]
    nested: Annotated[dict[str, int], Field(default_factory=dict)]
    rank: int = 0


@router.get("", response_model=CursorPage[ThingOut])
async def list_things(
    caller: CanRead, session: Reading, params: Annotated[ThingList, Query()]
) -> Any:
    things = Things(session, caller.project_id)
    query = things.query()
    if params.named:
        query = query.where(Thing.name == params.named)
    if params.since:
        query = query.where(Thing.seen_at >= params.since)
    return await things.page(query, params, (Thing.rank, True))


@router.post("", status_code=201, response_model=ThingOut)
async def create_thing(
    caller: CanWrite, session: Writing, body: ThingCreate, response: Response
) -> Any:
    thing = await Things(session, caller.project_id).add(**body.model_dump())
    response.headers["location"] = f"/api/v1/things/{thing.id}"
    response.headers["x-own"] = "not kept"
    return thing


@router.get("/{thing_id}", response_model=ThingOut)
async def get_thing(caller: CanRead, session: Reading, thing_id: str) -> Any:
    return await Things(session, caller.project_id).get(thing_id)


@router.delete("/{thing_id}", status_code=204)
async def delete_thing(caller: CanWrite, session: Writing, thing_id: str) -> None:
    things = Things(session, caller.project_id)
    await things.delete(await things.get(thing_id))


@router.put("/{thing_id}", response_model=ThingOut)
async def replace_thing(
    caller: CanWrite, session: Writing, thing_id: str, body: ThingCreate
) -> Any:
    things = Things(session, caller.project_id)
    return await things.update(await things.get(thing_id), **body.model_dump())


@router.post("/log-in")
async def log_in(body: Credentials) -> dict[str, Any]:
    return {"name": body.name}


@router.post("/echo")
async def echo(body: dict[str, Any]) -> Any:
    return body


@router.post("/raise/{what}")
async def raise_what(what: str, session: Writing) -> None:
    if what == "app":
        raise BadRequest(
            "Read the manual.",
            errors=[FieldError("name", "is odd")],
            details={"limit": 3},
            headers={"Retry-After": "7"},
        )
    if what == "invalid":
        raise Invalid(errors=[FieldError("config.url", "is no URL")])
    if what == "invalid-as-a-whole":
        raise Invalid("Nothing fits.")
    if what == "integrity":
        await session.execute(sql("INSERT INTO kernel_test_things (id) VALUES (NULL)"))
    if what == "sql":
        await session.execute(sql("SELECT secret_column FROM nowhere"))
    raise RuntimeError("the password is hunter2")


@router.post("/count", status_code=202)
async def count_calls(caller: CanWrite, request: Request, database: Db) -> dict[str, int]:
    """Write in a session of its own, if at all."""
    request.app.state.counted = getattr(request.app.state, "counted", 0) + 1
    return {"counted": request.app.state.counted}


@router.post("/refuse")
async def refuse(caller: CanWrite, session: Writing, response: Response) -> dict[str, str]:
    """Answer 409 without an error."""
    response.status_code = 409
    return {"message": new_id()}


@router.post("/fail")
async def fail_late(caller: CanWrite, session: Writing) -> None:
    await Things(session, caller.project_id).add(name="never")
    raise RuntimeError("the password is hunter2")


@router.post("/stream")
async def stream(caller: CanWrite, session: Writing) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield new_id().encode()

    return StreamingResponse(parts())


@router.get("/broken/stream")
async def broken_stream() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("the password is hunter2")

    return StreamingResponse(parts())


@router.get("/plain/query")
async def plain_query(number: int, text: str = "", flag: float = 0) -> dict[str, Any]:
    return {"number": number, "text": text, "flag": flag}


async def authenticate(connection: HTTPConnection) -> Caller:
    """Take the caller from the header: `role/key`."""
    role, _, key = connection.headers.get("authorization", "viewer/").partition("/")
    return Caller(
        kind=CallerKind.USER,
        id="user-" + role,
        name=role,
        role=PlatformRole.USER,
        project_id=connection.app.state.project_id,
        project_role=ProjectRole(role),
        scopes=scopes_of(PlatformRole.USER, ProjectRole(role)),
        key_id=key or None,
    )


def make_app(
    database: Database, project_id: str, *, docs: bool = True, cors_origins: list[str] | None = None
) -> App:
    app = App(docs=docs, cors_origins=cors_origins or [], title="Things & <more>", version="1")
    app.mount_router(router)
    app.state.database = database
    app.state.project_id = project_id
    app.state.authenticate = authenticate
    app.state.identify = identify
    return app


@asynccontextmanager
async def client_of(app: App, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client that is an editor; an exception that leaves the application is an answer."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://muster.test",
        headers={"Authorization": "editor/", **headers},
    ) as client:
        yield client
