"""`Idempotency-Key`: the same request twice has one effect and one answer.

The answer is stored in the transaction of the change itself, so there is no moment at which the
change is made and the answer unknown. Two requests with one key that run at the same time race for
the unique key: the loser is rolled back as a whole and is given the winner's answer.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from fastapi import Response
from sqlalchemy import LargeBinary, String, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import Request

from muster.kernel import clock
from muster.kernel.db import Base, Database, Json, UTCDateTime
from muster.kernel.errors import AppError, Invalid

HEADER = "idempotency-key"
KEPT_FOR = timedelta(hours=24)
_MAX_KEY = 255
_KEPT_HEADERS = ("content-type", "location", "etag")

Handler = Callable[[Request], Awaitable[Response]]


class IdempotencyKeyInvalid(Invalid):
    code, title = "idempotency_key_invalid", "Idempotency-Key must be 1 to 255 characters"


class IdempotencyKeyReused(Invalid):
    code, title = (
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request; take a new one",
    )


class IdempotencyRecord(Base):
    """The answer to a request that carried a key."""

    __tablename__ = "idempotency_records"

    owner: Mapped[str] = mapped_column(String(36), primary_key=True)
    key: Mapped[str] = mapped_column(String(_MAX_KEY), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(Json)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now, index=True)


async def answer_once(request: Request, handler: Handler) -> Response:
    """Answer a request that carries a key; a handler that writes nothing is simply called."""
    key = request.headers[HEADER]
    if not 1 <= len(key) <= _MAX_KEY or not key.isprintable():
        raise IdempotencyKeyInvalid
    database: Database = request.app.state.database
    owner: str = await request.app.state.identify(request)
    fingerprint = await _fingerprint(request)
    if (earlier := await _find(database, owner, key, fingerprint)) is not None:
        return earlier
    try:
        response = await handler(request)
        session = _write_session(request)
        body = getattr(response, "body", None)
        if session is not None and body is not None and response.status_code < 500:  # noqa: PLR2004
            # One whose time is over may still be there, and would be taken for a winner.
            await session.execute(
                delete(IdempotencyRecord).where(
                    IdempotencyRecord.owner == owner,
                    IdempotencyRecord.key == key,
                    IdempotencyRecord.created_at < clock.now() - KEPT_FOR,
                )
            )
            headers = {n: v for n, v in response.headers.items() if n in _KEPT_HEADERS}
            session.add(
                IdempotencyRecord(
                    owner=owner,
                    key=key,
                    fingerprint=fingerprint,
                    status=response.status_code,
                    headers=headers,
                    body=bytes(body),
                )
            )
            await session.flush()
    except (AppError, IntegrityError):
        # Either the request is refused by itself, or another with the same key came first. Its
        # connection is given back before another is asked for: many losers would hold them all.
        if (session := _write_session(request)) is not None:
            await session.rollback()
        if (winner := await _find(database, owner, key, fingerprint)) is None:
            raise
        raise Replayed(winner) from None
    return response


class Replayed(Exception):
    """Carries the winner's answer out of the loser's transaction, which it rolls back."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


async def replay(_: Request, error: Exception) -> Response:
    """Answer a request that lost the race with the winner's answer."""
    assert isinstance(error, Replayed)  # noqa: S101 - Starlette types handlers as taking Exception
    return error.response


async def forget_old(database: Database) -> None:
    """Delete the answers whose time is over."""
    async with database.write() as session:
        limit = clock.now() - KEPT_FOR
        await session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < limit))


def _write_session(request: Request) -> AsyncSession | None:
    session: AsyncSession | None = getattr(request.state, "write_session", None)
    return session


async def _fingerprint(request: Request) -> str:
    digest = sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return digest.hexdigest()


async def _find(database: Database, owner: str, key: str, fingerprint: str) -> Response | None:
    async with database.read() as session:
        statement = select(IdempotencyRecord).where(
            IdempotencyRecord.owner == owner,
            IdempotencyRecord.key == key,
            IdempotencyRecord.created_at >= clock.now() - KEPT_FOR,
        )
        record = await session.scalar(statement)
    if record is None:
        return None
    if record.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    headers = {**record.headers, "idempotency-replayed": "true"}
    return Response(record.body, status_code=record.status, headers=headers)
