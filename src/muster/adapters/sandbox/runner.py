"""Runs a tool's Python code in a process that can reach nothing, and ends it in every case."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from muster.adapters.sandbox.confinement import (
    COMMAND,
    ENVIRONMENT,
    build_request,
    private_user,
    require_supported,
)
from muster.adapters.sandbox.errors import SandboxFailed, SandboxFilesExceeded, SandboxUnavailable
from muster.adapters.sandbox.folders import hand_over, measure, remove
from muster.adapters.sandbox.limits import MAXIMUM_FILES, SandboxLimits
from muster.adapters.sandbox.outcome import Ending, SandboxResult, result_of

CHUNK_BYTES = 64 * 1024
# The frame of an answer and the text of an error come on top of the value.
ANSWER_OVERHEAD_BYTES = 16 * 1024
STARTED = b"started\n"
MEASURE_EVERY_S = 0.2
MEASURE_SHARE = 10
MAXIMUM_WORKSPACE_FILES = 50_000


async def run_python(
    source: str,
    arguments: dict[str, Any],
    *,
    limits: SandboxLimits | None = None,
    workspace: Path | None = None,
) -> SandboxResult:
    """Call `run` of the source with the arguments and return its JSON value.

    Args:
        source: Python that defines `run(**arguments)`, plain or async, or with a single
            dict parameter called `arguments`, `args`, `params`, `parameters` or `inputs`.
        arguments: JSON values.
        limits: What the run may use.
        workspace: A folder it may read and write and that stays; absent: a temporary one. A server
            run by root gives the folder's files to another user, so it must hold nothing else.

    Raises:
        SandboxFailed: The code is at fault; subclasses tell timeout, memory, files, forbidden.
        SandboxUnavailable: This machine cannot confine it, so it was not run.
    """
    require_supported()
    limits = limits or SandboxLimits()
    try:
        payload = json.dumps({"source": source, "arguments": arguments}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise SandboxFailed("The arguments of the tool are not JSON values.") from None
    workspace = await asyncio.to_thread(workspace.resolve) if workspace else None
    user = private_user(workspace)
    folder = workspace or Path(tempfile.mkdtemp(prefix="muster-tool-"))
    try:
        if os.geteuid() == 0:
            await asyncio.to_thread(_give_away, folder, user)
        ending = await _Run(folder, limits, user, payload).finish()
    finally:
        if workspace is None:
            # Goes on in its thread if this task is cancelled again meanwhile.
            await asyncio.shield(asyncio.to_thread(remove, folder))
    return result_of(ending)


def _give_away(folder: Path, user: int) -> None:
    # A container may run root without the right to do so; the process stays root then too.
    with contextlib.suppress(PermissionError):
        hand_over(folder, user)


class _Run:
    """One process, from its start to its certain end."""

    def __init__(self, folder: Path, limits: SandboxLimits, user: int, payload: bytes) -> None:
        self.folder = folder
        self.limits = limits
        self.user = user
        self.payload = payload
        self.marker = secrets.token_hex(16)
        self.ending = Ending(limits)

    async def finish(self) -> Ending:
        started = time.monotonic()
        baseline = await asyncio.to_thread(measure, self.folder, MAXIMUM_WORKSPACE_FILES)
        if baseline is None:
            raise SandboxFilesExceeded("The workspace holds too many files, or unreadable folders.")
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=ENVIRONMENT,
                cwd=self.folder,
                start_new_session=True,
                limit=CHUNK_BYTES,
            )
        except OSError:
            raise SandboxUnavailable(
                "No process could be started for the code; the machine may be out of processes or"
                " memory. Try again later."
            ) from None
        prints = asyncio.create_task(self._read_prints(process))
        watch = asyncio.create_task(self._watch_files(process, baseline))
        try:
            async with asyncio.timeout(self.limits.wall_s):
                await self._talk(process)
        except TimeoutError:
            self._stop(process, "wall")
        finally:
            watch.cancel()
            if process.returncode is None or self.limits.processes:
                _kill(process)
            await asyncio.shield(asyncio.gather(prints, process.wait()))
        self.ending.exit_status = process.returncode
        self.ending.duration_ms = round((time.monotonic() - started) * 1000)
        return self.ending

    async def _talk(self, process: asyncio.subprocess.Process) -> None:
        request = build_request(
            process.pid, self.limits, folder=self.folder, user=self.user, marker=self.marker
        )
        body = json.dumps(request).encode()
        if process.stdin is None or process.stdout is None:  # pragma: no cover (both are pipes)
            raise SandboxUnavailable
        with contextlib.suppress(ConnectionError):
            process.stdin.write(body[:-1] + b", " + self.payload[1:])
            await process.stdin.drain()
        process.stdin.close()
        await self._read_answer(process, process.stdout)
        if self.ending.answer is None:
            await process.wait()

    async def _read_answer(
        self, process: asyncio.subprocess.Process, stream: asyncio.StreamReader
    ) -> None:
        """Find the marked line, whatever else the code managed to write into the channel."""
        received = bytearray()
        marker = self.marker.encode() + b" "
        allowed = self.limits.output_bytes + ANSWER_OVERHEAD_BYTES
        while chunk := await stream.read(CHUNK_BYTES):
            received += chunk
            if len(received) > allowed:
                self._stop(process, "answer")
                return
            start = received.rfind(marker) if received.endswith(b"\n") else -1
            line = bytes(received[start + len(marker) :]) if start >= 0 else STARTED
            if line != STARTED:
                self.ending.answer = line
                return
        # Without this line the code never had its turn, so the end is not its fault.
        self.ending.started = marker + STARTED in received

    async def _read_prints(self, process: asyncio.subprocess.Process) -> None:
        """Keep what fits and drop the rest: a full pipe would only stall the code."""
        kept = bytearray()
        allowed = self.limits.output_bytes
        while process.stderr and (chunk := await process.stderr.read(CHUNK_BYTES)):
            kept += chunk[: allowed - len(kept) + 1]
        self.ending.stdout_truncated = len(kept) > allowed
        self.ending.stdout = kept[:allowed].decode("utf-8", "replace")

    async def _watch_files(
        self, process: asyncio.subprocess.Process, baseline: tuple[int, int]
    ) -> None:
        """Stop the process when its files together outgrow the limit.

        The kernel limits one file only; a quota would need a file system of its own.
        """
        entries, size = baseline
        most_entries = entries + MAXIMUM_FILES
        pause = MEASURE_EVERY_S
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            now = await asyncio.to_thread(measure, self.folder, most_entries)
            if now is None or now[1] > size + self.limits.total_file_bytes:
                self._stop(process, "files")
                return
            pause = max(MEASURE_EVERY_S, MEASURE_SHARE * (time.monotonic() - started))

    def _stop(self, process: asyncio.subprocess.Process, reason: str) -> None:
        self.ending.stopped_for = self.ending.stopped_for or reason
        _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process and its children: the filter lets none leave the group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
