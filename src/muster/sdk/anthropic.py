"""Recording calls of Anthropic's client, through its `http_client` option.

client = Anthropic(http_client=http_client(muster, gate=True))
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx2
from anthropic import AnthropicError, DefaultAsyncHttpxClient, DefaultHttpxClient

from muster.sdk.client import Muster
from muster.sdk.errors import ApprovalRequired, PlatformUnavailable, SdkError, StepBlocked
from muster.sdk.model_calls import Told, number
from muster.sdk.model_http import Recorder, recording, recording_async

Json = Mapping[str, Any]


class CallBlocked(StepBlocked, AnthropicError):
    """A `StepBlocked` that Anthropic's client hands on as it is, without trying again."""


class CallNeedsApproval(ApprovalRequired, AnthropicError):
    """An `ApprovalRequired` that Anthropic's client hands on as it is."""


class CallUnavailable(PlatformUnavailable, AnthropicError):
    """A `PlatformUnavailable` that Anthropic's client hands on as it is."""


def http_client(
    muster: Muster, *, gate: bool = False, provider: str | None = None, **options: Any
) -> httpx2.Client:
    """Return a client for `Anthropic(http_client=...)`.

    Args:
        muster: Where calls are recorded, in the current task.
        gate: Whether policies are asked before each call.
        provider: Whose prices count, where another provider speaks Anthropic's protocol.
        options: What `anthropic.DefaultHttpxClient` takes, such as `timeout` and `proxy`.
    """
    recorder = Recorder(muster, AnthropicWire(), provider, gate=gate)
    return recording(DefaultHttpxClient, recorder, _known)(**options)


def async_http_client(
    muster: Muster, *, gate: bool = False, provider: str | None = None, **options: Any
) -> httpx2.AsyncClient:
    """Return a client for `AsyncAnthropic(http_client=...)`; see `http_client`."""
    recorder = Recorder(muster, AnthropicWire(), provider, gate=gate)
    return recording_async(DefaultAsyncHttpxClient, recorder, _known)(**options)


def _known(error: SdkError) -> SdkError:
    if isinstance(error, ApprovalRequired):
        return CallNeedsApproval(error.step, error.decision)
    if isinstance(error, StepBlocked):
        return CallBlocked(error.step, error.decision)
    return CallUnavailable(str(error))


class AnthropicWire:
    """The Messages API."""

    provider = "anthropic"

    def is_model_call(self, path: str) -> bool:
        return path.endswith("/messages")

    def answer(self, body: Json) -> Told:
        usage = body.get("usage")
        return Told(
            output={"content": body.get("content"), "stop_reason": body.get("stop_reason")},
            usage=_usage(cast("Json", usage)) if isinstance(usage, Mapping) else None,
            model=body.get("model"),
            response_id=body.get("id"),
        )

    def stream(self, events: Iterator[dict[str, Any]]) -> Told:
        message: dict[str, Any] = {}
        blocks: dict[int, dict[str, Any]] = {}
        for event in events:
            kind = event.get("type")
            if kind == "message_start":
                message = dict(event["message"])
            elif kind == "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            elif kind == "content_block_delta":
                _add(blocks[event["index"]], event["delta"])
            elif kind == "message_delta":
                message |= event["delta"]
                message["usage"] = (message.get("usage") or {}) | (event.get("usage") or {})
        message["content"] = [_whole(block) for block in blocks.values()]
        return self.answer(message)


def _add(block: dict[str, Any], delta: Json) -> None:
    for name in ("text", "thinking", "signature", "partial_json"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    text = block.pop("partial_json", None)
    if not text:
        return block
    try:
        return block | {"input": json.loads(text)}
    except ValueError:  # the stream broke off
        return block | {"input": text}


def _usage(usage: Json) -> dict[str, int]:
    """Here the cached tokens count as input too; Anthropic counts them beside it."""
    cached = number(usage, "cache_read_input_tokens")
    written = number(usage, "cache_creation_input_tokens")
    return {
        "input_tokens": number(usage, "input_tokens") + cached + written,
        "output_tokens": number(usage, "output_tokens"),
        "cached_tokens": cached,
        "cache_write_tokens": written,
    }
