"""An engine that a test commands over standard input, and that can be killed."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from muster.engine import Engine, EngineOptions, Job, JobContext
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.logging import configure_logging


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, job_id: str, **more: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"event": event, "job": job_id, **more}) + "\n")

    async def work(self, context: JobContext) -> None:
        job = context.job
        self.write("begin", job.id, recovered=context.recovered, executor=context.executor_id)
        try:
            await asyncio.sleep(job.payload.get("seconds", 0))
        except asyncio.CancelledError:
            self.write("cancelled", job.id, stop=context.stop, reason=context.reason)
            raise
        self.write("end", job.id)

    async def lost(self, job_id: str, payload: dict[str, Any]) -> None:
        self.write("lost", job_id)


async def main(given: dict[str, Any]) -> None:
    configure_logging(level="WARNING")
    database = Database(given["url"])
    live = LiveBus(database)
    await live.start()
    journal = Journal(Path(given["journal"]))
    engine = Engine(EngineOptions(**given["options"]), database, live)
    engine.register("work", journal.work, lost=journal.lost)
    await engine.start()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *arguments = json.loads(line)
        if command == "submit":
            await engine.submit(Job.from_json(arguments[0]))
        elif command == "cancel":
            await engine.cancel(*arguments)
        elif command == "stop":
            break
        print("done", flush=True)
    await engine.stop(0.2)
    await live.stop()
    await database.dispose()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
