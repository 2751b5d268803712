"""Processes that take in logged steps and are killed in the middle of it.

    python -m tests.durability.dying_intake WORK

For each case of the work a process is forked that posts what the case says, one after another, and
kills itself at a step with the name "Fatal": right *after* the commit that has it, or *before*.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any

import httpx2

from muster.domains.work.journal import JournalWriter
from muster.domains.work.oversight import PolicyObserver
from muster.entrypoints.assembly import Muster
from muster.kernel.logging import configure_logging
from muster.kernel.settings import Settings

FATAL = "Fatal"


def main() -> None:
    configure_logging(level="WARNING", json=True)
    work = json.loads(sys.argv[1])
    ends: list[int] = []
    for case in work["cases"]:
        pid = os.fork()
        if pid == 0:
            try:
                _die_at(case["when"])
                asyncio.run(_post(work["key"], case["posts"]))
            finally:
                os._exit(1)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(ends))


async def _post(key: str, posts: list[tuple[str, dict[str, Any]]]) -> None:
    async with Muster(Settings(), engine="off") as muster:
        transport = httpx2.ASGITransport(muster.app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://muster.test/api/v1", headers=headers
        ) as client:
            for path, body in posts:
                answer = await client.post(path, json=body)
                assert answer.status_code == 201, answer.text


def _die_at(when: str) -> None:
    report, observe = JournalWriter._report, PolicyObserver.observe

    def reporting(writer: JournalWriter, group: Any, numbers: Any) -> None:
        if any(row["name"] == FATAL for append in group for row in append.rows):
            os.kill(os.getpid(), signal.SIGKILL)
        report(writer, group, numbers)

    async def observing(
        observer: Any, agent: Any, run_id: str, task_id: str, steps: Any, unit: Any
    ) -> Any:
        found = await observe(observer, agent, run_id, task_id, steps, unit)
        if any(logged.new.name == FATAL for _, logged in steps):
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    if when == "after":
        setattr(JournalWriter, "_report", reporting)  # noqa: B010
    else:
        setattr(PolicyObserver, "observe", observing)  # noqa: B010


if __name__ == "__main__":
    main()
