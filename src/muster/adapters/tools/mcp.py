"""The `mcp` tool: discovers and calls the tools of Model Context Protocol servers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from muster.adapters.tools.base import ToolFailed, ToolOutcome, ToolTimeout, ToolUnreachable
from muster.adapters.tools.mcp_configuration import McpConfiguration
from muster.adapters.tools.mcp_session import STDERR_SHOWN, McpSession, SessionLost
from muster.kernel.egress import Egress
from muster.kernel.errors import AppError, Unavailable

if TYPE_CHECKING:
    from mcp import MCPError
    from mcp.client import Client

T = TypeVar("T")

_MAX_TOOLS = 1_000
_ATTEMPTS = 2


class TooManyMcpSessions(Unavailable):
    code, title = "too_many_mcp_sessions", "Too many MCP sessions are in use"


class McpPool:
    """Live sessions, one for each server and partition.

    A partition is whatever must not share a server's state with others: the project's id.
    Sessions end after `idle_timeout_s` without a call.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        idle_timeout_s: float = 300.0,
        connect_timeout_s: float = 30.0,
        max_sessions: int = 64,
    ) -> None:
        self._egress = egress
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._max_sessions = max_sessions
        self._sessions: dict[str, McpSession] = {}

    async def discover(
        self,
        configuration: McpConfiguration,
        *,
        partition: str = "",
        trusted: bool = False,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        """What the server offers: `{server: {name, version, protocol}, tools: [...]}`."""

        async def ask(client: "Client") -> dict[str, Any]:
            from muster.adapters.tools.mcp_content import describe_tool

            info = client.server_info
            tools: list[dict[str, Any]] = []
            cursor: str | None = None
            while len(tools) < _MAX_TOOLS:
                page = await client.list_tools(cursor=cursor)
                tools += [describe_tool(tool) for tool in page.tools]
                cursor = page.next_cursor
                if not cursor or not page.tools:
                    break
            return {
                "server": {
                    "name": info.name if info else None,
                    "version": info.version if info else None,
                    "protocol": client.protocol_version,
                },
                "tools": tools[:_MAX_TOOLS],
            }

        return await self._use(
            configuration, ask, partition, trusted=trusted, timeout_s=timeout_s, repeatable=True
        )

    async def call(
        self,
        configuration: McpConfiguration,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float = 60.0,
        partition: str = "",
        trusted: bool = False,
        idempotent: bool = False,
    ) -> ToolOutcome:
        """Call a tool.

        A server that was gone before it saw the call is connected anew, once. One that goes away
        during the call may have done its work: only an `idempotent` tool is then called again.
        """

        async def ask(client: "Client") -> ToolOutcome:
            from muster.adapters.tools.mcp_content import read_result

            return read_result(await client.call_tool(tool, dict(arguments)))

        return await self._use(
            configuration,
            ask,
            partition,
            trusted=trusted,
            timeout_s=timeout_s,
            repeatable=idempotent,
        )

    async def aclose(self) -> None:
        """End every session; the pool can be used again afterwards."""
        sessions, self._sessions = list(self._sessions.values()), {}
        await asyncio.gather(*(session.aclose() for session in sessions))

    async def _use(
        self,
        configuration: McpConfiguration,
        operation: "Callable[[Client], Awaitable[T]]",
        partition: str,
        *,
        trusted: bool,
        timeout_s: float,
        repeatable: bool,
    ) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            session = await self._session(configuration, partition, trusted=trusted)
            try:
                return await self._once(session, operation, timeout_s)
            except SessionLost as lost:
                # With other calls on it the connection may still be good: only this one was lost.
                if session.idle or not lost.reached:
                    session.retire()
                if attempt == _ATTEMPTS or (lost.reached and not repeatable):
                    raise await _lost(session, lost) from None
        raise AssertionError

    async def _once(
        self, session: McpSession, operation: "Callable[[Client], Awaitable[T]]", timeout_s: float
    ) -> T:
        from mcp import MCPError
        from mcp.client import InputRequiredRoundsExceededError

        label = session.configuration.label
        try:
            return await session.use(operation, timeout_s=timeout_s)
        except MCPError as error:
            raise _translate(error, label) from None
        except (ValidationError, InputRequiredRoundsExceededError):
            raise ToolFailed(f"{label} gave an answer that breaks the protocol.") from None
        except RuntimeError:
            raise ToolFailed(
                f"{label} gave an answer that does not fit its own output schema."
            ) from None
        except (AppError, SessionLost):
            raise

    async def _session(
        self, configuration: McpConfiguration, partition: str, *, trusted: bool
    ) -> McpSession:
        key = configuration.key(f"{partition}\n{trusted}")
        session = self._sessions.get(key)
        if session is not None and session.alive:
            return session
        await self._make_room(key)
        # Another caller may have connected while room was made.
        session = self._sessions.get(key)
        if session is None or not session.alive:
            session = self._sessions[key] = McpSession(
                configuration,
                self._egress,
                trusted=trusted,
                idle_timeout_s=self._idle_timeout_s,
                connect_timeout_s=self._connect_timeout_s,
            )
        return session

    async def _make_room(self, key: str) -> None:
        self._sessions = {
            other: session for other, session in self._sessions.items() if session.alive
        }
        if len(self._sessions) < self._max_sessions or key in self._sessions:
            return
        idle = [entry for entry in self._sessions.items() if entry[1].idle]
        if not idle:
            raise TooManyMcpSessions(
                f"All {self._max_sessions} MCP sessions are in use. Try again in a moment."
            )
        oldest, session = min(idle, key=lambda entry: entry[1].last_used)
        del self._sessions[oldest]
        await session.aclose()


async def _lost(session: McpSession, lost: SessionLost) -> ToolUnreachable:
    text = f"{session.configuration.label} ended the connection"
    if lost.reached:
        text += " during the call; whether the tool took effect is not known"
    output = await session.last_words()
    if output:
        text += f". Its error output ends with: {output[-STDERR_SHOWN:]}"
    return ToolUnreachable(f"{text}.", details={"stderr": output} if output else None)


def _translate(error: "MCPError", label: str) -> Exception:
    from mcp_types import (
        CONNECTION_CLOSED,
        INVALID_PARAMS,
        INVALID_REQUEST,
        METHOD_NOT_FOUND,
        REQUEST_TIMEOUT,
    )

    if error.code == CONNECTION_CLOSED:
        return SessionLost(reached=True)
    if error.code == INVALID_REQUEST and error.message == "Session terminated":
        # The transport's word for a session that the server no longer knows: nothing was done.
        return SessionLost(reached=False)
    if error.code == REQUEST_TIMEOUT:
        return ToolTimeout(f"{label} did not answer in time.")
    reasons = {
        INVALID_PARAMS: "it does not know the tool or refuses the arguments",
        METHOD_NOT_FOUND: "it does not offer tools",
    }
    reason = reasons.get(error.code, "it reported a protocol error")
    return ToolFailed(f"{label} refused the request: {reason} (code {error.code}).")
