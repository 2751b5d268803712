"""Deliveries: claimed by one process at a time, attempted until they arrive or are given up."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from muster.adapters.channels import SendFailed, SendRefused, Sent
from muster.kernel.ids import new_id
from muster.kernel.settings import DeliveriesSettings
from muster.platform.deliveries import (
    Delivery,
    DeliveryList,
    DeliveryNotDead,
    DeliveryNotFound,
    Happening,
    Postponed,
)
from muster.platform.deliveries.backoff import wait_s
from tests.platform.deliveries_setting import SETTINGS, Clock, Post, another, post, time, told
from tests.support.people import People

__all__ = ["another", "post", "time"]

pytestmark = pytest.mark.anyio


async def test_what_is_enqueued_arrives(post: Post, people: People) -> None:
    await post.enqueue(people.project_id, event_seq=7)
    waiting = await post.only(people.project_id)
    assert (waiting.status, waiting.attempts, waiting.log) == ("pending", 0, [])
    assert waiting.next_attempt_at is not None
    assert await post.courier.once() == 1
    assert await post.courier.once() == 0
    (outgoing,) = post.taker.taken
    assert (outgoing.id, outgoing.message, outgoing.number) == (waiting.id, {"a": 1}, 1)
    arrived = await post.only(people.project_id)
    assert (arrived.status, arrived.attempts, arrived.event_seq) == ("delivered", 1, 7)
    assert (arrived.next_attempt_at, arrived.last_error) == (None, None)
    assert arrived.delivered_at is not None
    (attempt,) = arrived.log
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "delivered", 200)
    assert await told(people) == []


async def test_nothing_is_sent_of_what_was_rolled_back(post: Post, people: People) -> None:
    with suppress(ZeroDivisionError):
        async with post.database.write() as session:
            post.courier.enqueue(
                session,
                people.project_id,
                source_kind="test",
                source_id="s",
                happening=Happening(event_type="t", message={}),
            )
            raise ZeroDivisionError
    assert await post.courier.once() == 0
    assert await post.all(people.project_id) == []


async def test_a_failure_is_tried_again_later(post: Post, people: People, time: Clock) -> None:
    post.taker.answers = [SendFailed("away", status_code=503), Sent(204)]
    await post.enqueue(people.project_id)
    await post.courier.once()
    failed = await post.only(people.project_id)
    assert (failed.status, failed.last_error) == ("pending", "away")
    assert failed.next_attempt_at is not None
    wait = failed.next_attempt_at - time.moment
    assert timedelta(seconds=30) <= wait <= timedelta(seconds=60)
    assert await post.courier.once() == 0
    time.forward(seconds=61)
    assert await post.courier.once() == 1
    arrived = await post.only(people.project_id)
    assert arrived.status == "delivered"
    assert [(a.number, a.outcome, a.status_code, a.error) for a in arrived.log] == [
        (1, "failed", 503, "away"),
        (2, "delivered", 204, None),
    ]
    assert len({outgoing.id for outgoing in post.taker.taken}) == 1
    (event,) = await told(people)
    assert event["type"] == "delivery.failed"
    assert event["data"]["error"] == "away"


async def test_in_the_end_it_is_given_up_and_can_be_revived(
    post: Post, people: People, time: Clock
) -> None:
    post.taker.answers = [SendFailed(f"away {n}") for n in range(3)]
    await post.enqueue(people.project_id)
    for _ in range(5):
        await post.courier.once()
        time.forward(hours=2)
    dead = await post.only(people.project_id)
    assert (dead.status, dead.attempts, dead.last_error) == ("dead", 3, "away 2")
    assert dead.next_attempt_at is None
    assert len(dead.log) == 3
    events = await told(people)
    assert [event["type"] for event in events] == ["delivery.failed", "delivery.dead"]
    assert events[1]["data"]["attempts"] == 3
    assert events[1]["data"]["delivery_id"] == dead.id

    post.taker.answers = [SendFailed("still"), Sent()]
    async with post.database.write() as session:
        revived = await post.service(session, people.project_id).retry(dead.id)
    assert (revived.status, revived.max_attempts) == ("pending", 6)
    await post.courier.once()
    again = await post.only(people.project_id)
    assert again.next_attempt_at is not None
    assert again.next_attempt_at - time.moment <= timedelta(seconds=60)  # waits begin anew
    time.forward(minutes=2)
    await post.courier.once()
    arrived = await post.only(people.project_id)
    assert (arrived.status, arrived.attempts, len(arrived.log)) == ("delivered", 5, 5)
    with pytest.raises(DeliveryNotDead):
        async with post.database.write() as session:
            await post.service(session, people.project_id).retry(dead.id)
    assert [event["type"] for event in await told(people)][2:] == ["delivery.retried"]


async def test_a_refusal_is_final(post: Post, people: People) -> None:
    post.taker.answers = [SendRefused("gone", status_code=410)]
    await post.enqueue(people.project_id)
    await post.courier.once()
    dead = await post.only(people.project_id)
    assert (dead.status, dead.attempts, dead.log[0].outcome) == ("dead", 1, "refused")
    (event,) = await told(people)
    assert (event["type"], event["data"]["status_code"]) == ("delivery.dead", 410)


async def test_a_receiver_may_ask_for_more_time(post: Post, people: People, time: Clock) -> None:
    post.taker.answers = [SendFailed("busy", retry_after_s=3600)]
    await post.enqueue(people.project_id)
    await post.courier.once()
    waiting = await post.only(people.project_id)
    assert waiting.next_attempt_at == time.moment + timedelta(hours=1)


async def test_what_is_postponed_was_no_attempt(post: Post, people: People, time: Clock) -> None:
    until = time.moment + timedelta(minutes=3)
    post.taker.answers = [Postponed("its breaker is open", until)] * 5
    await post.enqueue(people.project_id)
    for _ in range(5):
        assert await post.courier.once() == 1
        waiting = await post.only(people.project_id)
        assert (waiting.status, waiting.attempts, waiting.log) == ("pending", 0, [])
        assert waiting.last_error == "its breaker is open"
        assert waiting.next_attempt_at is not None
        time.moment = waiting.next_attempt_at
    await post.courier.once()
    assert (await post.only(people.project_id)).status == "delivered"
    assert await told(people) == []


async def test_errors_of_our_own_are_failures(post: Post, people: People) -> None:
    post.taker.answers = [ZeroDivisionError("geheim")]
    await post.enqueue(people.project_id)
    async with post.database.write() as session:
        post.courier.enqueue(
            session,
            people.project_id,
            source_kind="unknown",
            source_id="s",
            happening=Happening(event_type="t", message={}),
        )
    await post.courier.once()
    failed = await post.only(people.project_id)
    assert failed.status == "pending"
    assert "geheim" not in str(failed)
    async with post.database.read() as session:
        rows = (
            await session.scalars(select(Delivery).where(Delivery.source_kind == "unknown"))
        ).all()
    assert [row.status for row in rows] == ["pending"]
    assert "restart" in str(rows[0].last_error)


async def test_an_attempt_has_a_time_limit(
    post: Post, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.platform.deliveries.courier._SPARE_S", -4.9)
    post.taker.gate = asyncio.Event()
    await post.enqueue(people.project_id)
    await post.courier.once()
    failed = await post.only(people.project_id)
    assert failed.last_error == "The attempt took too long."


async def test_a_killed_process_loses_its_claim(
    post: Post, another: Post, people: People, time: Clock
) -> None:
    post.taker.gate = asyncio.Event()
    await post.enqueue(people.project_id)
    killed = asyncio.create_task(post.courier.once())
    await post.taker.entered.wait()
    killed.cancel()
    with suppress(asyncio.CancelledError):
        await killed
    held = await post.only(people.project_id)
    assert (held.status, held.attempts, held.next_attempt_at) == ("delivering", 1, None)
    assert await another.courier.once() == 0
    time.forward(minutes=2)
    assert await another.courier.once() == 1
    arrived = await post.only(people.project_id)
    assert arrived.status == "delivered"
    assert [(a.number, a.outcome) for a in arrived.log] == [(1, "interrupted"), (2, "delivered")]
    assert another.taker.taken[0].id == post.taker.taken[0].id


async def test_what_kills_every_process_is_given_up(
    post: Post, people: People, time: Clock
) -> None:
    await post.enqueue(people.project_id)
    for _ in range(3):
        post.taker.gate, post.taker.entered = asyncio.Event(), asyncio.Event()
        killed = asyncio.create_task(post.courier.once())
        await post.taker.entered.wait()
        killed.cancel()
        with suppress(asyncio.CancelledError):
            await killed
        time.forward(minutes=2)
    assert await post.courier.once() == 0
    dead = await post.only(people.project_id)
    assert (dead.status, [a.outcome for a in dead.log]) == ("dead", ["interrupted"] * 3)
    assert [event["type"] for event in await told(people)] == ["delivery.dead"]


async def test_who_comes_too_late_changes_nothing(
    post: Post, another: Post, people: People, time: Clock
) -> None:
    """A process that slept while its lease ended finds that another has the delivery."""
    post.taker.gate = asyncio.Event()
    post.taker.answers = [SendRefused("late")]
    await post.enqueue(people.project_id)
    slow = asyncio.create_task(post.courier.once())
    await post.taker.entered.wait()
    time.forward(minutes=2)
    await another.courier.once()
    post.taker.gate.set()
    await slow
    arrived = await post.only(people.project_id)
    assert (arrived.status, arrived.last_error) == ("delivered", None)
    assert [(a.number, a.outcome) for a in arrived.log] == [(1, "interrupted"), (2, "delivered")]
    assert await told(people) == []


async def test_two_processes_share_the_work(post: Post, another: Post, people: People) -> None:
    for number in range(40):
        await post.enqueue(people.project_id, message={"number": number})
    while sum(await asyncio.gather(post.courier.once(), another.courier.once())):
        pass
    taken = [outgoing.message["number"] for outgoing in post.taker.taken + another.taker.taken]
    assert sorted(taken) == list(range(40))
    assert {delivery.status for delivery in await post.all(people.project_id)} == {"delivered"}


async def test_the_same_event_is_enqueued_once(post: Post, people: People) -> None:
    event_id = new_id()
    await post.enqueue(people.project_id, event_id=event_id)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await post.enqueue(people.project_id, event_id=event_id)
    await post.enqueue(people.project_id, event_id=event_id, source_id="s-2")
    assert len(await post.all(people.project_id)) == 2


async def test_the_worker_wakes_at_once(post: Post, people: People) -> None:
    worker = asyncio.create_task(post.courier.run())
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(4):  # less than it would take to look by itself
            await post.enqueue(people.project_id)
            await post.taker.entered.wait()
            while (await post.only(people.project_id)).status != "delivered":
                await asyncio.sleep(0.01)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_the_worker_keeps_to_its_number(post: Post, people: People) -> None:
    post.taker.gate = asyncio.Event()
    for _ in range(7):
        await post.enqueue(people.project_id)
    worker = asyncio.create_task(post.courier.run())
    try:
        async with asyncio.timeout(20):
            while len(post.taker.taken) < SETTINGS.concurrency:
                await asyncio.sleep(0.01)
            statuses = [delivery.status for delivery in await post.all(people.project_id)]
            assert statuses.count("delivering") == SETTINGS.concurrency
            post.taker.gate.set()
            while {d.status for d in await post.all(people.project_id)} != {"delivered"}:
                await asyncio.sleep(0.01)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    assert len(post.taker.taken) == 7


async def test_the_worker_outlives_trouble(
    post: Post, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away when it claims, and when it settles; the lease brings it back."""
    claim, settle = post.courier._claim, post.courier._settle
    troubles = {"claim": 1, "settle": 1}

    def breaking(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*given: Any) -> Any:
            if troubles[name]:
                troubles[name] -= 1
                raise ConnectionError(name)
            return await work(*given)

        return run

    monkeypatch.setattr(post.courier, "_claim", breaking("claim", claim))
    monkeypatch.setattr(post.courier, "_settle", breaking("settle", settle))
    await post.enqueue(people.project_id)
    worker = asyncio.create_task(post.courier.run())
    try:
        async with asyncio.timeout(20):
            while sum(troubles.values()):
                post.live.publish("deliveries", {})
                await asyncio.sleep(0.01)
            post.time.forward(minutes=2)
            while (await post.only(people.project_id)).status != "delivered":
                post.live.publish("deliveries", {})
                await asyncio.sleep(0.01)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_deliveries_belong_to_a_project_and_a_kind(post: Post, people: People) -> None:
    await post.enqueue(people.project_id)
    mine = await post.only(people.project_id)
    assert await post.all(people.other_project_id) == []
    async with post.database.write() as session:
        for service in (
            post.service(session, people.other_project_id),
            post.service(session, people.project_id, "other"),
        ):
            with pytest.raises(DeliveryNotFound):
                await service.get(mine.id)
            with pytest.raises(DeliveryNotFound):
                await service.retry(mine.id)


async def test_the_list_is_filtered(post: Post, people: People) -> None:
    await post.enqueue(people.project_id, source_id="s-1")
    post.taker.answers = [SendRefused("no")]
    await post.courier.once()
    await post.enqueue(people.project_id, source_id="s-2", event_type="other.happened")

    async def shown(source_id: str | None = None, **filters: Any) -> int:
        async with post.database.read() as session:
            service = post.service(session, people.project_id)
            rows = await service.list(DeliveryList(**filters), source_id)
        assert rows.total == len(rows.items)
        return len(rows.items)

    assert await shown() == 2
    assert await shown("s-1") == await shown(status="dead") == 1
    assert await shown("s-1", status="pending") == 0
    assert await shown(event_type="other.happened") == 1
    with pytest.raises(ValidationError):
        DeliveryList(status="lost")  # pyright: ignore[reportArgumentType]


def test_waits_grow_to_about_an_hour() -> None:
    settings = DeliveriesSettings()
    for _ in range(50):
        waits = [wait_s(settings, failures, None) for failures in range(1, settings.attempts)]
        assert all(
            base <= wait <= base + 30
            for base, wait in zip((30, 90, 270, 810, 2430), waits, strict=True)
        )
        assert 3600 <= sum(waits) <= 3800
    assert len({wait_s(settings, 1, None) for _ in range(20)}) > 1  # jitter
    assert wait_s(settings, 19, None) <= settings.longest_wait_s + settings.first_wait_s
    assert wait_s(settings, 1, 500) == 500


async def test_a_lease_is_longer_than_an_attempt(post: Post, people: People, time: Clock) -> None:
    post.taker.gate = asyncio.Event()
    await post.enqueue(people.project_id)
    attempt = asyncio.create_task(post.courier.once())
    await post.taker.entered.wait()
    async with post.database.read() as session:
        due_at = await session.scalar(select(Delivery.due_at))
    assert due_at is not None
    assert due_at - time.moment >= timedelta(seconds=SETTINGS.timeout_s + 20)
    post.taker.gate.set()
    await attempt


async def test_a_claim_of_somebody_else_is_left_alone(post: Post, people: People) -> None:
    post.taker.gate = asyncio.Event()
    await post.enqueue(people.project_id)
    attempt = asyncio.create_task(post.courier.once())
    await post.taker.entered.wait()
    async with post.database.write() as session:
        await session.execute(update(Delivery).values(claim="somebody else's"))
    post.taker.gate.set()
    await attempt
    assert (await post.only(people.project_id)).status == "delivering"
