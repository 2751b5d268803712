"""Running code in the sandbox from a test."""

import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest

from muster.adapters.sandbox import (
    SandboxFailed,
    SandboxLimits,
    SandboxResult,
    run_python,
)

# Generous, for a busy machine; tests of the time limits set their own.
PATIENT = {"wall_s": 60, "cpu_s": 60}


async def run(
    source: str,
    arguments: dict[str, Any] | None = None,
    *,
    workspace: Path | None = None,
    **limits: Any,
) -> SandboxResult:
    return await run_python(
        textwrap.dedent(source),
        arguments or {},
        limits=SandboxLimits(**(PATIENT | limits)),
        workspace=workspace,
    )


async def fail(kind: type[SandboxFailed], source: str, **options: Any) -> SandboxFailed:
    with pytest.raises(SandboxFailed) as caught:
        await run(source, **options)
    assert type(caught.value) is kind, (caught.value.detail, caught.value.details)
    assert caught.value.status == 422
    return caught.value


async def until_gone(process_id: int) -> None:
    """Wait until a process is neither running nor a zombie."""
    async with asyncio.timeout(5):
        while Path(f"/proc/{process_id}").exists():
            await asyncio.sleep(0.01)
