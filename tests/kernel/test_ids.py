"""Identifiers, and the notation of times."""

import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from pydantic import TypeAdapter

from muster.kernel import clock
from muster.kernel.ids import new_id, stable_id
from muster.kernel.schemas import Message, RecordOut


def test_ids_are_sortable_uuids_of_version_7() -> None:
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(set(ids))
    found = UUID(ids[0])
    assert (found.version, str(found)) == (7, ids[0])
    assert abs((found.int >> 80) / 1000 - time.time()) < 10


def test_stable_ids_depend_on_their_parts_alone() -> None:
    assert stable_id("tool", "clock") == stable_id("tool", "clock")
    assert stable_id("tool", "clock") != stable_id("tool", "web")
    assert UUID(stable_id("tool")).version == 5
    # Rows refer to it: it may never change.
    assert stable_id("tool", "clock") == "07e83be0-8cfb-5f09-a27d-0430fe6766f7"


def test_now_is_aware() -> None:
    assert clock.now().tzinfo is UTC
    assert abs(clock.now().timestamp() - time.time()) < 10


def test_times_have_one_notation() -> None:
    east = datetime(2026, 7, 1, 2, 30, 0, 5, tzinfo=timezone(timedelta(hours=5)))
    assert clock.iso(east) == "2026-06-30T21:30:00.000005Z"
    out = RecordOut(id="i", created_at=east, updated_at=east)
    assert out.model_dump(mode="json")["created_at"] == "2026-06-30T21:30:00.000005Z"
    assert out.model_dump()["created_at"] == east
    assert TypeAdapter(Message).dump_python(Message(message="done")) == {"message": "done"}
