"""Workers in processes of their own: started, killed, frozen; none is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import Any

from muster.kernel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90
"""Only a test that fails waits so long; a loaded machine may need much of it."""


class Nursery:
    """The process that makes workers (`tests.durability.process --nursery`)."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "workers.log"
        self.log.touch()
        self._folder, self._count = folder, 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.durability.process", "--nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                text=True,
                # A group of its own, which its workers belong to: the end of one is the end of all.
                start_new_session=True,
            )
        assert self._answer() == "nursery", self.said()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def start(self, environment: dict[str, str]) -> int:
        """Start a worker and return its process id when it is ready for work."""
        self._count += 1
        ready = self._folder / f"ready-{self._count}"
        os.mkfifo(ready)
        # Opened for both, so that neither side waits for the other to open.
        pipe = os.open(ready, os.O_RDWR)
        try:
            given = {
                **environment,
                "MUSTER_TEST_LOG": str(self.log),
                "MUSTER_TEST_READY": str(ready),
            }
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(given) + "\n")
            self._process.stdin.flush()
            pid = int(self._answer())
            deadline = time.monotonic() + PATIENCE_S
            heard = b""
            while heard != b"ready\n":
                assert is_alive(pid), f"the worker did not start: {self.said()}"
                assert time.monotonic() < deadline, f"the worker is not ready: {self.said()}"
                if select([pipe], [], [], 0.2)[0]:
                    heard += os.read(pipe, 4096)
            return pid
        finally:
            os.close(pipe)
            ready.unlink()

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def is_alive(pid: int) -> bool:
    """Tell whether the process is there and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Worker:
    """One process that executes runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def kill(self) -> None:
        """Kill it where it stands, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.gone()

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        await self.gone()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def gone(self) -> None:
        await until(lambda: not is_alive(self.pid))


class Workers:
    """The workers of one test."""

    def __init__(self, nursery: Nursery, settings: Settings, **environment: str) -> None:
        self.nursery = nursery
        self._started: list[Worker] = []
        assert settings.database_url is not None
        self._environment = {
            "MUSTER_DATA_DIR": str(settings.data_dir),
            "MUSTER_DATABASE_URL": settings.database_url.get_secret_value(),
            "MUSTER_DATABASE_POOL_SIZE": "5",
            "MUSTER_EGRESS_ALLOW": "127.0.0.0/8",
            "MUSTER_LOG_LEVEL": "WARNING",
            **environment,
        }

    async def start(self, **environment: str) -> Worker:
        """Start a worker; what is given goes over the settings of the test."""
        given = {**self._environment, **environment}
        worker = Worker(await asyncio.to_thread(self.nursery.start, given))
        self._started.append(worker)
        return worker

    def by_pid(self, pid: int) -> Worker:
        return next(worker for worker in self._started if worker.pid == pid)

    async def close(self) -> None:
        for worker in self._started:
            if is_alive(worker.pid):
                await worker.kill()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)
