"""The folder of a run: files that it was given, and those that its tools write."""

import asyncio
from pathlib import Path

from muster.domains.work.journal import Run
from muster.domains.work.runs.parts import RunParts


async def prepare_workspace(parts: RunParts, run: Run) -> Path:
    """Return the run's folder, with the files that were given with the run in it.

    What works on one plan works in one folder: that of the run that was started.

    A file that is there already is left alone: the run may have changed it before it was taken up
    again.
    """
    folder = parts.workspaces / run.project_id / run.snapshot.get("workspace_of", run.id)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for file in run.snapshot.get("files", []):
        data = await parts.blobs.get(file["sha256"])
        await asyncio.to_thread(_place, folder / file["path"], data)
    return folder


def _place(path: Path, data: bytes) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
