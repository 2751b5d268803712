"""What tools need from the process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from muster.adapters.tools.mcp import McpPool
from muster.domains.catalogue.tools.binding import Call
from muster.kernel.db import Database
from muster.kernel.egress import Egress

ReadSecret = Callable[[str, str], Awaitable[str]]
"""`(project_id, name)` to the value of a secret of the vault."""

_PYTHON_PROCESSES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """Long-lived parts of a process that tools use.

    `documents` holds a folder of files per project, which tools read and never write.
    `mcp_stdio` tells whether MCP servers may be started as commands. Each tool of kind python that
    runs holds one of `python_slots`. `acts` returns the built-in tools that other slices carry
    out, by name; those that are not there are not offered.
    """

    database: Database
    egress: Egress
    mcp: McpPool
    read_secret: ReadSecret
    documents: Path
    workspace_bytes: int
    searxng_url: str | None
    default_timeout_s: float
    mcp_stdio: bool = False
    acts: Callable[[], Mapping[str, Call]] = dict[str, Call]
    python_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_PYTHON_PROCESSES)
    )
