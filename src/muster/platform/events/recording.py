"""Recording an event in the transaction of the change that it tells of."""

from collections import defaultdict
from datetime import datetime
from typing import Any, ClassVar

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.chain import GENESIS, chain_hash
from muster.kernel.db import Prepared, after_commit, before_commit
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from muster.platform.access import Caller
from muster.platform.events.models import EventChain, EventRecord

PLATFORM_CHAIN = "platform"
"""Chain of what concerns no project: accounts, sign-in, settings of the platform."""

_TYPES: dict[str, type["Event"]] = {}

_CHAINS = EventChain.__table__
_HEAD = Prepared(
    select(_CHAINS.c.seq, _CHAINS.c.hash)
    .where(_CHAINS.c.chain == bindparam("of"))
    .with_for_update()
)
_STORE = Prepared(insert(EventRecord.__table__))  # pyright: ignore[reportArgumentType]
_MOVE = Prepared(
    update(_CHAINS)  # pyright: ignore[reportArgumentType]
    .where(_CHAINS.c.chain == bindparam("of"))
    .values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, in the past tense. Subclasses name their type and subject and add the data.

    The field `<subject>_id` names what the event is about. Fields never hold secrets.
    """

    type: ClassVar[str]
    subject: ClassVar[str]
    platform_wide: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "type" in vars(cls):
            _TYPES[cls.type] = cls

    @property
    def subject_id(self) -> str | None:
        found = getattr(self, f"{self.subject}_id", None)
        return str(found) if found is not None else None


_Pending = tuple[Caller, Event, datetime]


def event_types() -> dict[str, type[Event]]:
    """Return every type of event that the product can record."""
    return dict(sorted(_TYPES.items()))


def topic_of(chain: str) -> str:
    """Return the topic of the live bus on which a chain's growth is told."""
    return f"events:{chain}"


def record(session: AsyncSession, caller: Caller, event: Event) -> None:
    """Append an event when the unit of work commits; roll-back forgets it."""
    pending: list[_Pending] = session.info.setdefault("events", [])
    pending.append((caller, event, clock.now()))

    async def flush() -> None:
        await _append(session)

    before_commit(session, "events", flush)


async def _append(session: AsyncSession) -> None:
    by_chain: defaultdict[str, list[_Pending]] = defaultdict(list)
    for pending in session.info.pop("events", []):
        caller, event, _ = pending
        by_chain[PLATFORM_CHAIN if event.platform_wide else caller.project_id].append(pending)
    # What else has changed goes first: everybody locks the chain last, and for as short as can be.
    await session.flush()
    connection = await session.connection()
    # In one order everywhere: two units of work that touch two chains cannot wait for each other.
    for chain in sorted(by_chain):
        seq = await connection.run_sync(_extend, chain, by_chain[chain])
        _announce(session, chain, seq)


def _extend(connection: Connection, chain: str, events: list[_Pending]) -> int:
    """Append events to a chain; return the number of the last one."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    seq, previous = _lock(connection, chain)
    rows: list[dict[str, Any]] = []
    for caller, event, at in events:
        seq += 1
        row = _row(chain, seq, caller, event, at, request_id)
        previous_hash, previous = previous, chain_hash(previous, _protected(row))
        rows.append({**row, "previous_hash": previous_hash, "hash": previous})
    _STORE.execute(connection, *rows)
    _MOVE.execute(connection, {"of": chain, "to_seq": seq, "to_hash": previous})
    return seq


def _lock(connection: Connection, chain: str) -> tuple[int, str]:
    found = _HEAD.execute(connection, {"of": chain})
    if not found:
        _make_chain(connection, chain)
        found = _HEAD.execute(connection, {"of": chain})
    seq, head = found[0]
    return seq, head


def _make_chain(connection: Connection, chain: str) -> None:
    values = {"chain": chain, "seq": 0, "hash": GENESIS}
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert
    connection.execute(upsert(EventChain).values(values).on_conflict_do_nothing())


def _row(
    chain: str, seq: int, caller: Caller, event: Event, at: datetime, request_id: str | None
) -> dict[str, Any]:
    facts = msgspec.structs.asdict(event)
    data = {k: clock.iso(v) if isinstance(v, datetime) else v for k, v in facts.items()}
    return {
        "id": new_id(),
        "chain": chain,
        "seq": seq,
        "type": event.type,
        "project_id": None if chain == PLATFORM_CHAIN else chain,
        "actor_kind": caller.kind.value,
        "actor_id": caller.key_id or caller.id,
        "actor_name": caller.name,
        "subject_type": event.subject,
        "subject_id": event.subject_id,
        "data": data,
        "request_id": request_id,
        "created_at": at,
    }


def _protected(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "created_at": clock.iso(row["created_at"])}


def row_hash(event: EventRecord) -> str:
    """Recompute the hash of a stored event."""
    names = [c.key for c in EventRecord.__table__.columns if c.key not in {"hash", "previous_hash"}]
    return chain_hash(event.previous_hash, _protected({n: getattr(event, n) for n in names}))


def _announce(session: AsyncSession, chain: str, seq: int) -> None:
    live: LiveBus | None = session.info.get("live")
    if live is None:
        return

    async def tell() -> None:
        live.publish(topic_of(chain), {"seq": seq})

    after_commit(session, tell)
