"""Agents that log from a process of their own: `python -m benchmarks.log_clients WORK`.

They speak just enough HTTP, so that what is measured is the server.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import cast

import uvicorn

_PATIENCE_S = 60
_TEXT = "The quarterly figures were compared with those of the year before. "


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWork:
    """What the clients do: each posts to its task, the next step when the last one is answered.

    Args:
        tasks: Id of the task of each client.
        seconds: How long they go on; 0: one step each, all at once.
    """

    port: int
    key: str
    agent_id: str
    tasks: list[str]
    seconds: float


class LogClient(asyncio.Protocol):
    """One connection, on which one request waits for its answer at a time."""

    def __init__(self, work: LogWork, task_id: str) -> None:
        body = json.dumps(_step(work.agent_id, task_id)).encode()
        head = (
            f"POST /api/v1/logs HTTP/1.1\r\nHost: 127.0.0.1:{work.port}\r\n"
            f"Authorization: Bearer {work.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of asyncio's own class where the loop is another.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length) and self._answered is not None:
            self._buffer = b""
            if head.startswith(b"HTTP/1.1 201"):
                self._answered.set_result(body)
            else:
                self._answered.set_exception(ConnectionError(f"{head[:12]!r} {body[:500]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server closed"))

    async def log(self) -> float:
        """Log one step; return the milliseconds until the answer."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._transport.write(self._request)
        await self._answered
        return (time.perf_counter() - begun) * 1000


def _step(agent_id: str, task_id: str) -> dict[str, object]:
    return {
        "agent_id": agent_id,
        "task_id": task_id,
        "kind": "step.model",
        "step_name": "Compare the figures",
        "properties": {
            "model": "openai/gpt-4o",
            "usage": {"input_tokens": 1200, "output_tokens": 80},
        },
        "input": {"prompt": _TEXT * 6},
        "output": {"text": _TEXT * 4},
        "duration_ms": 850,
    }


async def _log(work: LogWork) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda t=task: LogClient(work, t), "127.0.0.1", work.port))[1]
        for task in work.tasks
    ]
    times: list[float] = []
    begun = time.perf_counter()

    async def one_after_another(client: LogClient) -> None:
        async with asyncio.timeout(work.seconds + _PATIENCE_S):
            times.append(await client.log())
            while time.perf_counter() < begun + work.seconds:
                times.append(await client.log())

    await asyncio.gather(*map(one_after_another, clients))
    return {"times_ms": times, "seconds": time.perf_counter() - begun}


def main() -> None:
    work = LogWork(**json.loads(sys.argv[1]))
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        print(json.dumps(runner.run(_log(work))), flush=True)


if __name__ == "__main__":
    main()
