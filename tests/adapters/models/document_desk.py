"""A small agent loop over the example documents, with local versions of the product's tools."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simpleeval import simple_eval

from muster.adapters.models.base import ChatModel, Message, ModelReply, ModelRequest, ToolSpec

DOCUMENTS = Path(__file__).parents[3] / "examples" / "documents"


def spec(
    name: str, description: str, required: Sequence[str] = (), **properties: dict[str, Any]
) -> ToolSpec:
    return ToolSpec(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": list(required)},
    )


SEARCH_FILES = spec(
    "search_files",
    "Search the files of the project for words and return the lines that match best.",
    ["query"],
    query={"type": "string", "description": "What to look for."},
    limit={"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
)
READ_FILE = spec("read_file", "Read a text file of the project.", ["path"], path={"type": "string"})
CALCULATOR = spec(
    "calculator",
    "Work out an arithmetic expression.",
    ["expression"],
    expression={"type": "string", "description": "For example 840*12.5/100"},
)
CURRENT_TIME = spec(
    "current_time", "Return the date and time.", timezone={"type": "string", "default": "UTC"}
)
DESK = (SEARCH_FILES, READ_FILE, CALCULATOR, CURRENT_TIME)


def search_files(query: str, limit: int = 10) -> dict[str, Any]:
    words = {word[:6] for word in re.findall(r"\w+", query.lower())}
    hits: list[dict[str, Any]] = []
    for path in sorted(DOCUMENTS.iterdir()):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            found = {word[:6] for word in re.findall(r"\w+", line.lower())}
            if score := len(words & found):
                hits.append({"path": path.name, "line": number, "score": score, "text": line})
    hits.sort(key=lambda hit: -hit["score"])
    return {"results": hits[:limit], "total": len(hits)}


def read_file(path: str) -> dict[str, Any]:
    file = DOCUMENTS / path
    if not file.is_file():
        return {"error": f"There is no file {path}"}
    content = file.read_text()
    return {"path": path, "content": content, "lines": content.count("\n"), "truncated": False}


def calculator(expression: str) -> dict[str, Any]:
    return {"expression": expression, "result": simple_eval(expression)}


def current_time(timezone: str = "UTC") -> dict[str, Any]:
    return {
        "now": "2025-05-15T09:30:00Z",
        "date": "2025-05-15",
        "weekday": "Thursday",
        "timezone": timezone,
    }


TOOLS: dict[str, Callable[..., Any]] = {
    "search_files": search_files,
    "read_file": read_file,
    "calculator": calculator,
    "current_time": current_time,
}


class Loop:
    """Asks a model, executes the calls it wishes, and asks again, until it answers."""

    def __init__(
        self,
        model: ChatModel,
        specs: Sequence[ToolSpec] = DESK,
        tools: dict[str, Callable[..., Any]] | None = None,
        system: str = "You are a document analyst. Answer with sources.",
    ) -> None:
        self.model = model
        self.specs = specs
        self.tools = TOOLS if tools is None else tools
        self.messages = [Message(role="system", content=system)]
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.rounds = 0

    async def ask(self, question: str, *, schema: dict[str, Any] | None = None) -> ModelReply:
        self.messages.append(Message(role="user", content=question))
        for _ in range(12):
            reply = await self.model.request(
                ModelRequest(messages=self.messages, tools=self.specs, output_schema=schema)
            )
            self.rounds += 1
            self.messages.append(reply.as_message())
            if not reply.tool_calls:
                return reply
            for call in reply.tool_calls:
                self.calls.append((call.name, call.arguments))
                result = self.tools[call.name](**call.arguments)
                text = result if isinstance(result, str) else json.dumps(result)
                self.messages.append(
                    Message(role="tool", content=text, tool_call_id=call.id, name=call.name)
                )
        raise AssertionError("the model went on calling tools")
