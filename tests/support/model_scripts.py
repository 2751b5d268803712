"""What a scripted model server answers."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

_encode = msgspec.json.encode


@dataclass(kw_only=True)
class Reply:
    """One answer. Without `status` it is a completion, else that HTTP error.

    `events` are what a stream consists of instead of the pieces of the text.
    """

    text: str = ""
    thinking: str = ""
    signature: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    usage: dict[str, int] = field(default_factory=dict[str, int])
    finish_reason: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    message: str = "The scripted server refuses."
    code: str | None = None
    delay_s: float = 0
    chunk_delay_s: float = 0
    hang: bool = False
    drop: Literal["", "before", "middle"] = ""
    hang_after: int | None = None
    garbage: str | None = None
    events: list[Any] = field(default_factory=list[Any])

    def tokens(self) -> dict[str, int]:
        """Tokens of input, output, cached, reasoning, written; small round numbers unless given."""
        defaults = {"input": 20, "output": 10, "cached": 5, "reasoning": 3, "written": 0}
        return defaults | self.usage

    def calls(self) -> list[tuple[str, str, str]]:
        """Tool calls as id, name and arguments, which may be text that is no JSON."""
        found: list[tuple[str, str, str]] = []
        for number, call in enumerate(self.tool_calls):
            arguments = call.get("arguments", {})
            text = arguments if isinstance(arguments, str) else _encode(arguments).decode()
            found.append((call.get("id", f"call_{number}"), call["name"], text))
        return found


@dataclass(kw_only=True)
class Script:
    """Which reply comes when.

    `call`: the next one for each request, the last one for ever. `turn`: by the number of
    assistant turns in the conversation. `tools`: while fewer than `rounds` tool results follow the
    last user turn, the offered tools are called in order with arguments that fit; then `text`.
    """

    select: Literal["call", "turn", "tools"] = "tools"
    replies: list[Reply] = field(default_factory=list[Reply])
    rounds: int = 1
    text: str = "Done."


def example(schema: dict[str, Any], text: str = "text") -> Any:
    """Return a value that fits a simple JSON Schema; the same for the same schema and text."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            return example(schema[word][0], text)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        wanted = schema.get("required", list(schema.get("properties", {})))
        return {name: example(schema["properties"][name], text) for name in wanted}
    if kind == "array":
        count = max(schema.get("minItems", 1), 1)
        return [example(schema.get("items", {}), text) for _ in range(count)]
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    plain: dict[str, Any] = {"boolean": True, "null": None}
    return plain[kind] if kind in plain else text[: schema.get("maxLength", 200)]


def script_from(data: Any) -> Script:
    """Read a script from JSON values."""
    if isinstance(data, list):
        return Script(select="call", replies=[Reply(**reply) for reply in data])
    return Script(**{**data, "replies": [Reply(**reply) for reply in data.get("replies", [])]})
