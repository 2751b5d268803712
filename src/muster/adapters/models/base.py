"""The one shape in which the product speaks to a language model, whichever provider answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from muster.kernel.errors import AppError, UpstreamFailed, UpstreamTimeout


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as a model sees it: `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is parsed; what could not be parsed is in `raw`.

    `extra` is what `provider` wants back unchanged with the call, such as a thought signature.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    raw: str | None = None
    provider: str | None = None
    extra: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """A reasoning part that some providers want back unchanged on the next turn."""

    content: str
    id: str | None = None
    signature: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    `system`, `user` and `tool` turns carry `content`; `tool` turns answer `tool_call_id` of `name`;
    `assistant` turns carry `content`, `tool_calls`, `thinking`, any of which may be empty.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call.

    `input_tokens` includes the cached ones, `output_tokens` the reasoning ones.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What is asked of a model.

    `settings` may hold temperature (0 to 2), max_tokens, top_p, stop_sequences, seed,
    presence_penalty, frequency_penalty, thinking (true, false or a level from minimal to max) and
    timeout (seconds, retries included). `output_schema` (JSON Schema of type object) asks for
    structured output: the content of a reply without tool calls is then JSON that fits it.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    output_schema: dict[str, Any] | None = None


_CHARACTERS_A_TOKEN = 4


def estimated_tokens(request: ModelRequest) -> int:
    """Return about how many tokens a request has: a token is four characters, give or take.

    Counted without a tokenizer, of which every provider has another one.
    """
    characters = sum(
        len(message.content)
        + sum(len(call.name) + len(call.raw or str(call.arguments)) for call in message.tool_calls)
        for message in request.messages
    )
    characters += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return -(-characters // _CHARACTERS_A_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What a model answered. `cost` is in US dollars, None where the price is not known."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    provider: str = ""
    finish_reason: str = "stop"
    cost: float | None = None

    def as_message(self) -> Message:
        """Return the reply as the assistant's turn of the conversation."""
        return Message(
            role="assistant",
            content=self.content,
            tool_calls=self.tool_calls,
            thinking=self.thinking,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer, as it comes."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """A piece of the reasoning, as it comes."""

    text: str


StreamEvent = TextDelta | ThinkingDelta | ModelReply
"""A stream yields deltas and, as its last event, the whole reply."""


class ChatModel(Protocol):
    """A model that can be called.

    Both methods raise `ModelFailed`, `ModelTimeout` or `ModelUnsupported`, nothing else (besides
    cancellation).
    """

    async def request(self, request: ModelRequest) -> ModelReply:
        """Ask and wait for the whole reply."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Ask and yield the reply as it comes; the last event is the whole `ModelReply`.

        Who stops early must close the iterator (`contextlib.aclosing`), which ends the request.
        """
        ...


class ModelFailed(UpstreamFailed):
    """The provider refused or broke. `retryable` tells whether the same call may succeed later."""

    code, title = "model_failed", "The model's provider failed"

    def __init__(
        self, detail: str | None = None, *, retryable: bool = False, **options: Any
    ) -> None:
        super().__init__(detail, **options)
        self.retryable = retryable


class OutputUnfit(ModelFailed):
    """The reply is whole but does not fit the output schema. `reply` is what was paid for."""

    code, title = "model_output_unfit", "The model's answer does not fit the output schema"

    def __init__(self, detail: str, *, reply: ModelReply) -> None:
        super().__init__(detail, retryable=True)
        self.reply = reply


class ModelTimeout(UpstreamTimeout):
    code, title = "model_timeout", "The model did not answer in time"


class ModelUnsupported(AppError):
    status, code, title = 422, "model_unsupported", "The model cannot do what was asked"
