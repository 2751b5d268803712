"""The folder of a run: files that it was given, and those that its tools write."""

import asyncio
from pathlib import Path

from muster.adapters.tools.workspace import Workspace
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
    workspace = Workspace(folder)
    for file in run.snapshot.get("files", []):
        await workspace.place_file(file["path"], await parts.blobs.get(file["sha256"]))
    return folder
