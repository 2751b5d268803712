"""The platform is killed while an agent works: nothing is lost, nothing is there twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from muster.kernel.settings import Settings
from tests.sdk.conftest import Agent, Person
from tests.sdk.served import Served

CODE = """
import asyncio, sys, uvicorn
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings

async def main():
    async with Muster(Settings(), engine="off") as muster:
        port = int(sys.argv[1])
        config = uvicorn.Config(muster.app, port=port, lifespan="off", log_level="error")
        await uvicorn.Server(config).serve()

asyncio.run(main())
"""


@contextmanager
def process(settings: Settings, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the platform in a process that may be killed."""
    assert settings.master_key is not None
    environment = {
        **os.environ,
        "MUSTER_DATABASE_URL": settings.database,
        "MUSTER_DATA_DIR": str(settings.data_dir),
        "MUSTER_MASTER_KEY": settings.master_key.get_secret_value(),
        "MUSTER_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", CODE, str(port)]
    running = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + 60
        while True:
            assert running.poll() is None
            assert time.monotonic() < end
            try:
                httpx2.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=5)
                break
            except httpx2.RequestError:
                time.sleep(0.05)
        yield running
    finally:
        running.kill()
        running.wait(30)


def test_killed_in_the_middle_of_tasks(
    settings: Settings, served: Served, agent: Agent, people: Person
) -> None:
    muster = agent(batch_size=5, interval_s=0.01)
    muster.register()
    served.stop()
    with process(settings, served.port) as killed:
        with muster.task(id="t-1") as task:
            for number in range(200):
                task.log("step.exec", str(number))
            while muster.health.sent < 50:
                time.sleep(0.005)
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait(30)
            task.log("step.exec", "200")
        assert muster.health.sent < 203
    served.start()
    assert muster.flush(60)
    names = [s["step_name"] for s in people.steps("t-1")]
    assert names[1:-1] == [str(number) for number in range(201)]
    assert people.is_valid("t-1")
    assert people.status("t-1") == "completed"
    assert (muster.health.sent, muster.health.rejected) == (203, 0)
