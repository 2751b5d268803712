"""Recording calls of OpenAI's client, through its `http_client` option.

client = OpenAI(http_client=http_client(muster, gate=True))
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx2
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from muster.sdk.client import Muster
from muster.sdk.errors import SdkError
from muster.sdk.model_calls import Told, number
from muster.sdk.model_http import Recorder, recording, recording_async

_PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings")
Json = Mapping[str, Any]


def http_client(
    muster: Muster, *, gate: bool = False, provider: str | None = None, **options: Any
) -> httpx2.Client:
    """Return a client for `OpenAI(http_client=...)`.

    Args:
        muster: Where calls are recorded, in the current task.
        gate: Whether policies are asked before each call.
        provider: Whose prices count, where another provider speaks OpenAI's protocol.
        options: What `openai.DefaultHttpxClient` takes, such as `timeout` and `proxy`.
    """
    recorder = Recorder(muster, OpenAIWire(), provider, gate=gate)
    return recording(DefaultHttpxClient, recorder, _same)(**options)


def async_http_client(
    muster: Muster, *, gate: bool = False, provider: str | None = None, **options: Any
) -> httpx2.AsyncClient:
    """Return a client for `AsyncOpenAI(http_client=...)`; see `http_client`."""
    recorder = Recorder(muster, OpenAIWire(), provider, gate=gate)
    return recording_async(DefaultAsyncHttpxClient, recorder, _same)(**options)


def _same(error: SdkError) -> SdkError:
    return error


class OpenAIWire:
    """Chat completions, completions, responses and embeddings."""

    provider = "openai"

    def is_model_call(self, path: str) -> bool:
        return path.endswith(_PATHS)

    def answer(self, body: Json) -> Told:
        usage = body.get("usage")
        return Told(
            output=_output(body),
            usage=_usage(cast("Json", usage)) if isinstance(usage, Mapping) else None,
            model=body.get("model"),
            response_id=body.get("id"),
        )

    def stream(self, events: Iterator[dict[str, Any]]) -> Told:
        whole: dict[str, Any] = {}
        message = _Message()
        for event in events:
            if str(event.get("type", "")).startswith("response."):
                # The first and the last events of a response carry it as a whole.
                whole = event.get("response") or whole
                continue
            whole |= {name: event[name] for name in ("id", "model", "usage") if event.get(name)}
            choices: list[Json] = event.get("choices") or []
            for choice in choices:
                message.add(choice)
        if "output" in whole:
            return self.answer(whole)
        return self.answer(whole | {"choices": [message.choice()]})


class _Message:
    """A message that comes in pieces. Of several choices, all text is kept."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None

    def add(self, choice: Json) -> None:
        delta: Json = choice.get("delta") or {"content": choice.get("text")}
        self._text.append(delta.get("content") or "")
        self._finish = choice.get("finish_reason") or self._finish
        pieces: list[Json] = delta.get("tool_calls") or []
        for piece in pieces:
            call = self._calls.setdefault(piece.get("index", 0), {"name": "", "arguments": ""})
            call["id"] = piece.get("id") or call.get("id")
            function: Json = piece.get("function") or {}
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def choice(self) -> dict[str, Any]:
        calls = [{"id": call["id"], "function": call} for call in self._calls.values()]
        message = {"content": "".join(self._text) or None, "tool_calls": calls}
        return {"message": message, "finish_reason": self._finish}


def _output(body: Json) -> Any:
    if "output" in body:
        return body["output"]
    if "choices" not in body:
        return {"embeddings": len(body["data"])} if "data" in body else None
    told = [_choice(choice) for choice in body["choices"]]
    return told[0] if len(told) == 1 else told


def _choice(choice: Json) -> dict[str, Any]:
    message: Json = choice.get("message") or {"content": choice.get("text")}
    told: dict[str, Any] = {"content": message.get("content")}
    calls: list[Json] = message.get("tool_calls") or []
    if calls:
        told["tool_calls"] = [_call(call) for call in calls]
    return told | {"finish_reason": choice.get("finish_reason")}


def _call(call: Json) -> dict[str, Any]:
    function: Json = call.get("function") or {}
    shown = {"id": call.get("id"), "name": function.get("name")}
    return shown | {"arguments": function.get("arguments")}


def _usage(usage: Json) -> dict[str, int]:
    """Read the counts in the words of completions or in those of responses."""
    old = "prompt_tokens" in usage
    given, made = ("prompt_tokens", "completion_tokens") if old else _NEW
    return {
        "input_tokens": number(usage, given),
        "output_tokens": number(usage, made),
        "cached_tokens": number(usage, f"{given}_details", "cached_tokens"),
        "reasoning_tokens": number(usage, f"{made}_details", "reasoning_tokens"),
    }


_NEW = ("input_tokens", "output_tokens")
