"""Time limits, repetition and cancellation, on the wire of OpenAI."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from muster.adapters.models import (
    ModelFailed,
    ModelTimeout,
    ProviderConfig,
    RetryPolicy,
    TextDelta,
    build,
)
from muster.adapters.models.retries import DEFAULT_BUDGET_SECONDS, budget_of
from muster.kernel.egress import Egress, EgressPolicy
from tests.adapters.models.support import KEY, ask, asked, request, streamed
from tests.support.model_server import Reply, ScriptedServer

pytestmark = pytest.mark.anyio

both_ways = pytest.mark.parametrize("as_stream", [False, True], ids=["whole", "stream"])


async def collect(events: AsyncIterator[Any], into: list[Any]) -> None:
    async for event in events:
        into.append(event)  # noqa: PERF401 - what came before a failure must stay


async def closed_early(server: ScriptedServer) -> None:
    async with asyncio.timeout(5):
        while not server.last.closed_early:
            await asyncio.sleep(0.01)


@both_ways
async def test_gives_up_on_a_server_that_hangs(as_stream: bool) -> None:
    async with asked([Reply(text="warm"), Reply(hang=True)]) as it:
        await it.model.request(request())
        begun = time.monotonic()
        with pytest.raises(ModelTimeout) as late:
            await ask(it.model, request(settings={"timeout": 0.4}), as_stream=as_stream)

        assert time.monotonic() - begun < 3
        assert "did not answer within 0.4 seconds" in late.value.detail
        await closed_early(it.server)


@both_ways
async def test_retries_keep_to_the_time_limit(as_stream: bool) -> None:
    slow = RetryPolicy(attempts=100, first_wait=0.1, longest_wait=0.1, jitter=0)
    async with asked([Reply(text="warm"), Reply(status=502)], policy=slow) as it:
        await it.model.request(request())
        begun = time.monotonic()
        with pytest.raises(ModelFailed, match="failed on its side") as failed:
            await ask(it.model, request(settings={"timeout": 0.6}), as_stream=as_stream)

        assert time.monotonic() - begun < 3
        assert failed.value.retryable
        assert 2 < it.server.count < 9


@both_ways
async def test_waits_as_long_as_it_is_told(as_stream: bool) -> None:
    script = [Reply(status=429, headers={"retry-after": "1"}), Reply(text="Now.")]
    async with asked(script) as it:
        reply = await ask(it.model, request(), as_stream=as_stream)

        assert reply.content == "Now."
        first, second = it.server.calls
        assert second.at - first.at >= 1


async def test_does_not_wait_longer_than_the_call_may_take() -> None:
    async with asked([Reply(status=429, headers={"retry-after": "90"})]) as it:
        begun = time.monotonic()
        with pytest.raises(ModelFailed, match="asks to wait 90 seconds") as failed:
            await it.model.request(request())

        assert time.monotonic() - begun < 10
        assert failed.value.details == {"retry_after": 90}
        assert it.server.count == 1


async def test_does_not_repeat_when_the_quota_is_used_up() -> None:
    script = [Reply(status=429, code="insufficient_quota")]
    async with asked(script) as it:
        with pytest.raises(ModelFailed, match="used up its quota") as failed:
            await it.model.request(request())

        assert it.server.count == 1
        assert not failed.value.retryable


async def test_a_request_timeout_of_the_server_is_repeated() -> None:
    async with asked([Reply(status=408)]) as it:
        with pytest.raises(ModelFailed, match="gave up waiting") as failed:
            await it.model.request(request())

        assert it.server.count == 5
        assert failed.value.retryable


@both_ways
async def test_names_the_host_that_cannot_be_reached(as_stream: bool) -> None:
    egress = Egress(EgressPolicy())
    config = ProviderConfig(
        family="openai",
        name="Downtown",
        api_key=KEY,
        base_url="http://user:hidden@127.0.0.1:9/v1/secret-path",
    )
    model = build(
        config,
        "m",
        client=egress.client(trusted=True),
        policy=RetryPolicy(attempts=2, first_wait=0.01, jitter=0),
    )
    with pytest.raises(ModelFailed) as failed:
        await ask(model, request(), as_stream=as_stream)
    await egress.aclose()

    assert "Downtown cannot be reached at 127.0.0.1:9" in failed.value.detail
    assert failed.value.retryable
    assert "secret-path" not in failed.value.detail
    assert "hidden" not in failed.value.detail


@both_ways
async def test_says_so_when_the_address_is_not_allowed(as_stream: bool) -> None:
    async with asked([Reply(text="unreachable")], egress_policy=EgressPolicy()) as it:
        with pytest.raises(ModelFailed) as refused:
            await ask(it.model, request(), as_stream=as_stream)

        assert not refused.value.retryable
        assert "127.0.0.1" in refused.value.detail
        assert it.server.count == 0


@pytest.mark.parametrize("family", ["anthropic", "google", "mistral", "groq", "ollama"])
async def test_every_family_goes_through_the_guard(family: str) -> None:
    egress = Egress(EgressPolicy())
    config = ProviderConfig(family=family, name="P", api_key=KEY, base_url="http://127.0.0.1:9")
    model = build(config, "claude-sonnet-4-6", client=egress.client())
    with pytest.raises(ModelFailed) as refused:
        await model.request(request())
    await egress.aclose()

    assert not refused.value.retryable
    assert "loopback" in refused.value.detail


@both_ways
async def test_cancellation_ends_the_request_at_once(as_stream: bool) -> None:
    async with asked([Reply(hang=True)]) as it:
        task = asyncio.create_task(ask(it.model, request(), as_stream=as_stream))
        async with asyncio.timeout(10):
            while not it.server.count:
                await asyncio.sleep(0.01)
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert time.monotonic() - begun < 1
        await closed_early(it.server)
        assert it.server.count == 1


async def test_cancellation_ends_the_wait_between_attempts() -> None:
    patient = RetryPolicy(first_wait=20, longest_wait=20)
    async with asked([Reply(status=500)], policy=patient) as it:
        task = asyncio.create_task(it.model.request(request()))
        async with asyncio.timeout(10):
            while not it.server.count:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await task


async def test_who_stops_listening_closes_the_stream() -> None:
    reply = Reply(text="A long story that goes on and on.", hang_after=3)
    async with asked([reply]) as it:
        async with aclosing(cast("Any", it.model.stream(request()))) as events:
            async for event in events:
                assert isinstance(event, TextDelta)
                break

        await closed_early(it.server)


async def test_a_stream_may_take_longer_than_the_limit_while_it_flows() -> None:
    slow = Reply(text="word " * 20, chunk_delay_s=0.1)
    async with asked([Reply(text="warm"), slow]) as it:
        await it.model.request(request())
        begun = time.monotonic()
        _, reply = await streamed(it.model, request(settings={"timeout": 1}))

        assert time.monotonic() - begun > 1
        assert reply.content == "word " * 20


async def test_a_stream_that_falls_silent_times_out() -> None:
    silent = Reply(text="A long story that goes on and on.", hang_after=3)
    async with asked([Reply(text="warm"), silent]) as it:
        await it.model.request(request())
        seen: list[Any] = []
        with pytest.raises(ModelTimeout):
            await collect(it.model.stream(request(settings={"timeout": 0.4})), seen)

        assert seen
        assert it.server.count == 2  # nothing is repeated once a piece is out
        await closed_early(it.server)


async def test_a_stream_that_breaks_is_not_repeated() -> None:
    async with asked([Reply(text="A long story that goes on.", drop="middle")]) as it:
        seen: list[Any] = []
        with pytest.raises(ModelFailed, match="broke the connection"):
            await collect(it.model.stream(request()), seen)

        assert seen
        assert it.server.count == 1


async def test_a_stream_that_breaks_before_its_first_piece_is_repeated() -> None:
    call = {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}}
    script = [Reply(tool_calls=[call], drop="middle"), Reply(tool_calls=[call])]
    async with asked(script) as it:
        events, reply = await streamed(it.model, request())

        assert events == []
        assert reply.tool_calls[0].arguments == {"a": 1, "b": 2}
        assert it.server.count == 2


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, DEFAULT_BUDGET_SECONDS), (3, 3.0), (True, 25.0), (-1, 25.0), ("5", 25.0), (1e9, 3600)],
)
def test_the_limit_is_sane(given: Any, seconds: float) -> None:
    assert budget_of({"timeout": given}) == seconds


def test_the_default_limit_leaves_room_to_answer_within_half_a_minute() -> None:
    assert budget_of({}) < 30
