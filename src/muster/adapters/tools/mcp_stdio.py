"""A Model Context Protocol server as a child process that speaks JSON lines on its pipes."""

import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import mcp_types
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

logger = logging.getLogger(__name__)

STDERR_BYTES = 4_096
_MAX_LINE_BYTES = 20_000_000
_INHERITED = ("PATH", "HOME", "LANG")
_EXIT_GRACE_S = 1.0
_TERMINATE_GRACE_S = 1.0
_POLL_S = 0.02

Received = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Received], MemoryObjectSendStream[SessionMessage]]
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, OSError)


class ErrorOutput:
    """The last bytes that a server wrote to its error output, for messages about its failure."""

    def __init__(self) -> None:
        self._tail = b""

    def add(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-STDERR_BYTES:]

    def text(self, hidden: Sequence[str] = ()) -> str:
        """The output with every value of `hidden` struck out."""
        text = self._tail.decode("utf-8", errors="replace").strip()
        for value in sorted(hidden, key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def minimal_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a server may know of this process: where programs and the home are, and the language."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(given)


@asynccontextmanager
async def stdio_transport(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: str | None,
    errors: ErrorOutput,
    on_exit: Callable[[], None],
) -> AsyncGenerator[Streams]:
    """Run the server in a process group of its own, which does not outlive the context.

    `on_exit` is called when the server closes its output, wanted or not.

    Raises:
        OSError: The program cannot be started.
    """
    process = await anyio.open_process(
        list(command), env=dict(environment), cwd=cwd, start_new_session=True
    )
    incoming_send, incoming = anyio.create_memory_object_stream[Received](0)
    outgoing, outgoing_receive = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        assert process.stdout is not None  # noqa: S101 - opened with pipes
        async with incoming_send:
            with suppress(*_GONE):
                await _read_lines(process.stdout, incoming_send)
        on_exit()

    async def write() -> None:
        assert process.stdin is not None  # noqa: S101 - opened with pipes
        with suppress(*_GONE):
            async with outgoing_receive:
                async for message in outgoing_receive:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await process.stdin.send(text.encode() + b"\n")
        on_exit()

    async def read_errors() -> None:
        assert process.stderr is not None  # noqa: S101 - opened with pipes
        with suppress(*_GONE):
            async for data in process.stderr:
                errors.add(data)

    async with anyio.create_task_group() as tasks:
        for task in (read, write, read_errors):
            tasks.start_soon(task)
        try:
            yield incoming, outgoing
        finally:
            # A cancelled owner must not leave the process behind; every wait inside is bounded.
            with anyio.CancelScope(shield=True):
                incoming.close()
                outgoing.close()
                await _stop(process)
            tasks.cancel_scope.cancel()


async def _read_lines(stdout: ByteReceiveStream, send: MemoryObjectSendStream[Received]) -> None:
    buffer = bytearray()
    async for chunk in stdout:
        buffer += chunk
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end]).strip()
            del buffer[: end + 1]
            if line:
                await send.send(_parse(line))
        if len(buffer) > _MAX_LINE_BYTES:
            logger.warning("an MCP server sent a line that is too long")
            return


def _parse(line: bytes) -> Received:
    try:
        message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError as error:
        # Some servers print a banner; the session passes over what is no message.
        return error
    return SessionMessage(message)


async def _stop(process: Process) -> None:
    """Let the server end by itself, then end its whole process group."""
    if process.stdin is not None:
        with suppress(*_GONE):
            await process.stdin.aclose()
    await _wait_for_exit(process, _EXIT_GRACE_S)
    # Also after a clean exit: children of the server may still live in its group.
    if _signal_group(process.pid, signal.SIGTERM):
        with anyio.move_on_after(_TERMINATE_GRACE_S):
            while _signal_group(process.pid, 0):  # noqa: ASYNC110 - nothing signals it
                await anyio.sleep(_POLL_S)
        _signal_group(process.pid, signal.SIGKILL)
        await _wait_for_exit(process, _TERMINATE_GRACE_S)
    with anyio.move_on_after(_TERMINATE_GRACE_S), suppress(*_GONE):
        await process.aclose()


async def _wait_for_exit(process: Process, seconds: float) -> None:
    # Not process.wait(): that also waits for pipes which a grandchild may hold open.
    with anyio.move_on_after(seconds):
        while process.returncode is None:  # noqa: ASYNC110 - nothing signals it
            await anyio.sleep(_POLL_S)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
