"""What a call of a model over HTTP says: which model, what was asked, answered and used."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an answer says.

    `usage` has `input_tokens` with the cached ones, `output_tokens` with those of reasoning.
    """

    output: Any = None
    usage: Mapping[str, int] | None = None
    model: str | None = None
    response_id: str | None = None


class Wire(Protocol):
    """A provider's protocol."""

    provider: str

    def is_model_call(self, path: str) -> bool:
        """Whether a path is one where a model is called."""
        ...

    def answer(self, body: Mapping[str, Any]) -> Told:
        """Read a whole answer."""
        ...

    def stream(self, events: Iterator[dict[str, Any]]) -> Told:
        """Read the events of a streamed answer."""
        ...


_LEFT_OUT = frozenset({"model", "stream", "stream_options"})


def asked(content: bytes) -> dict[str, Any] | None:
    """Return the body of a request if it names a model."""
    try:
        body: Any = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(cast("dict[str, Any]", body).get("model"), str):
        return None
    return cast("dict[str, Any]", body)


def input_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked, without how."""
    return {name: value for name, value in body.items() if name not in _LEFT_OUT}


def read(wire: Wire, content: bytes, content_type: str) -> Told:
    """Read an answer, streamed or whole; what cannot be read tells nothing."""
    try:
        if content_type.startswith("text/event-stream"):
            return wire.stream(_events(content))
        body: Any = json.loads(content)
        return wire.answer(cast("dict[str, Any]", body)) if isinstance(body, dict) else Told()
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Told()


def _events(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.decode(errors="replace").splitlines():
        if not line.startswith("data:"):
            continue
        try:
            event: Any = json.loads(line[5:])
        except ValueError:  # the last line of a stream that broke off, or its end mark
            continue
        if isinstance(event, dict):
            yield cast("dict[str, Any]", event)


def number(usage: Mapping[str, Any], *path: str) -> int:
    """Return a count of tokens, 0 where there is none."""
    found: Any = usage
    for name in path:
        found = cast("Mapping[str, Any]", found).get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else 0
