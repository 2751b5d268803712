"""A worker that tests may kill, and a nursery that makes many of them quickly.

    python -m tests.durability.process             a worker, until SIGTERM
    python -m tests.durability.process --nursery   a worker for each line of JSON on standard input

A worker takes its settings from the environment; in the nursery each line adds to it. To import the
product takes seconds of computing and its libraries do not change, so the nursery imports them once
and forks: what it forks has threads, connections, locks and a process id of its own.
`MUSTER_TEST_RELEASE` makes a worker claim to be another release; with `MUSTER_TEST_HALTS`, a
folder, runs stand still where their names say so.
"""

import asyncio
import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path

import muster.engine.engine
from muster.entrypoints.assembly import Muster
from muster.kernel.logging import configure_logging
from muster.kernel.settings import Settings
from tests.durability.halting import Halting, hold_firings

_LAZY = (
    "muster.engine.dispatch",
    "muster.engine.recovery",
    "muster.engine.runtime",
    "muster.engine.system_database",
    "muster.adapters.models.openai_sdk",
    "muster.adapters.models.pydantic_ai_model",
    "pydantic_ai.models.openai",
    "psycopg",
)


async def work() -> None:
    """Execute runs until SIGTERM."""
    settings = Settings()
    configure_logging(level=settings.log_level, json=True)
    if release := os.environ.get("MUSTER_TEST_RELEASE"):
        muster.__version__ = release
        muster.engine.engine.version = lambda _: release
    if folder := os.environ.get("MUSTER_TEST_HALTS"):
        Halting(Path(folder)).install()
        hold_firings(Path(folder))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Muster(settings, engine="work"):
        print("ready", flush=True)
        await stopped.wait()


def nursery() -> None:
    """Fork a worker for each line, and answer with its process id."""
    for name in _LAZY:
        importlib.import_module(name)
    # Dead workers vanish at once: nobody here asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("nursery", flush=True)
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            _be_worker(json.loads(line))
        print(pid, flush=True)
    # Whoever asked is gone: so must be all that was made for it.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


def _be_worker(given: dict[str, str]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(given)
        log = os.open(given["MUSTER_TEST_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        ready = os.open(given["MUSTER_TEST_READY"], os.O_WRONLY)
        os.dup2(ready, 1)
        os.close(0)
        asyncio.run(work())
        code = 0
    except BaseException:  # noqa: BLE001 - the last stop: the log must tell
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    if "--nursery" in sys.argv:
        nursery()
    else:
        asyncio.run(work())
