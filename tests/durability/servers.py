"""The outside world of the runs: a model and tools that remember how often they were asked."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.model_scripts import Reply, example
from tests.support.model_server import ScriptedServer

LABEL = re.compile(r"\[(\w+)-(\w+)\]")

Plan = Callable[[str], list[Reply]]
"""What the model answers in a run with this label, by turn."""


def prompt(plan: str, name: str) -> str:
    """Return what a run is asked, by which both servers know it."""
    return f"Work on [{plan}-{name}]"


class PlannedModel(ScriptedServer):
    """A model whose answers follow from the conversation alone, so they survive a restart."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: dict[str, Plan] = {}
        self.asked: Counter[tuple[str, int]] = Counter()
        """Calls by run and turn."""

    def _choose(self, number: int, body: dict[str, Any]) -> Reply:
        said = self.wire.conversation(body)
        found = LABEL.search(said.user_text)
        assert found is not None, said.user_text
        plan, name = found.groups()
        self.asked[name, said.assistant_turns + 1] += 1
        if said.schema is not None:
            return Reply(text=json.dumps(example(said.schema)))
        replies = self.plans[plan](name)
        return replies[min(said.assistant_turns, len(replies) - 1)]


class ToolServer:
    """`/{verb}/{run}/{part}`: answers after `delay_s`, but not while the call is among `held`.

    The verb `broken` has no good answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.delay_s = 0.05
        self.held: set[tuple[str, str]] = set()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.keys: dict[tuple[str, str], set[str | None]] = {}
        self.app = Starlette(
            routes=[Route("/{verb}/{run}/{part}", self._answer, methods=["GET", "POST"])]
        )

    async def _answer(self, request: Request) -> Response:
        run, part = request.path_params["run"], request.path_params["part"]
        self.asked[run, part] += 1
        key = request.headers.get("idempotency-key")
        self.keys.setdefault((run, part), set()).add(key)
        while (run, part) in self.held and not await request.is_disconnected():
            await asyncio.sleep(0.02)
        await asyncio.sleep(self.delay_s)
        if request.path_params["verb"] == "broken":
            return JSONResponse({"error": "It is broken."}, 422)
        return JSONResponse({"answer": f"{run}/{part}"})


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """Return a call of a tool as the model makes it."""
    return {"id": f"call_{tool}_{arguments.get('part', 0)}", "name": tool, "arguments": arguments}


def calling(*calls: dict[str, Any], delay_s: float = 0.0) -> Reply:
    return Reply(tool_calls=list(calls), delay_s=delay_s)
