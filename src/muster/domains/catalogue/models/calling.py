"""Calls of a model outside any run: asked, counted, answered."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, cast

import msgspec

from muster.adapters.models import (
    ModelFailed,
    ModelReply,
    ModelRequest,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from muster.domains.catalogue.models.admission import Admission
from muster.domains.catalogue.models.call_schemas import (
    AnswerChoice,
    AnswerMessage,
    ChatCompletion,
    ChatMessage,
    OfferedTool,
    TokenUsage,
    answer_tools,
)
from muster.domains.catalogue.models.catalogue import CallableModel
from muster.domains.catalogue.models.errors import LlmUnreachable
from muster.kernel import metrics
from muster.kernel.errors import AppError
from muster.kernel.ids import new_id
from muster.platform.access import Caller

_UNREACHED = "cannot be reached at"


def request_of(
    model: CallableModel,
    turns: Sequence[ChatMessage],
    settings: dict[str, Any],
    tools: Sequence[OfferedTool] = (),
) -> ModelRequest:
    """Return the request to a model; the settings of the call go before its own."""
    return ModelRequest(
        messages=[turn.message() for turn in turns],
        tools=[tool.spec() for tool in tools],
        settings={**model.settings, **settings},
    )


async def ask(
    admission: Admission, caller: Caller, model: CallableModel, request: ModelRequest
) -> ModelReply:
    """Call a model and wait for its whole answer."""
    async with admission.admit(caller, model, request) as call:
        with _told(model):
            reply = call.reply = await model.chat.request(request)
    _count(model, reply)
    return reply


async def open_stream(
    admission: Admission, caller: Caller, model: CallableModel, request: ModelRequest
) -> AsyncGenerator[str]:
    """Call a model and return its answer as the data of server-sent events.

    What fails before the first piece is raised here, so that it can be answered with a status.
    """
    pieces = _chunks(admission, caller, model, request)
    first = await anext(pieces)

    async def all_pieces() -> AsyncGenerator[str]:
        async with aclosing(pieces):
            yield first
            async for piece in _ended_well(pieces):
                yield piece
        yield "[DONE]"

    return all_pieces()


def completion(reply: ModelReply) -> ChatCompletion:
    """Return a whole answer as a chat completion."""
    calls = answer_tools(reply)
    message = AnswerMessage(content=reply.content or (None if calls else ""), tool_calls=calls)
    return ChatCompletion(
        id=f"chatcmpl-{new_id()}",
        created=int(time.time()),
        model=reply.model,
        choices=[AnswerChoice(message=message, finish_reason=reply.finish_reason)],
        usage=TokenUsage.of(reply),
        cost=reply.cost,
    )


async def _chunks(
    admission: Admission, caller: Caller, model: CallableModel, request: ModelRequest
) -> AsyncGenerator[str]:
    head = {
        "id": f"chatcmpl-{new_id()}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model.name,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return msgspec.json.encode({**head, "choices": [choice], **more}).decode()

    role: dict[str, Any] = {"role": "assistant"}
    async with admission.admit(caller, model, request) as call:
        with _told(model):
            async with aclosing(_events(model, request)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        yield chunk({**role, "content": event.text})
                    elif isinstance(event, ThinkingDelta):
                        yield chunk({**role, "reasoning_content": event.text})
                    else:
                        call.reply = event
                        _count(model, event)
                        for delta in _tool_deltas(event):
                            yield chunk({**role, **delta})
                        usage = TokenUsage.of(event).model_dump()
                        yield chunk(role, event.finish_reason, usage=usage, cost=event.cost)
                    role = {}


def _events(model: CallableModel, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
    return cast("AsyncGenerator[StreamEvent]", model.chat.stream(request))


def _tool_deltas(reply: ModelReply) -> Iterator[dict[str, Any]]:
    for index, call in enumerate(answer_tools(reply) or ()):
        yield {"tool_calls": [{"index": index, **call.model_dump()}]}


async def _ended_well(pieces: AsyncIterator[str]) -> AsyncGenerator[str]:
    """Yield the pieces; a failure between them becomes the last one, as the status is sent."""
    try:
        async for piece in pieces:
            yield piece
    except AppError as error:
        failure = {"code": error.code, "type": error.code, "message": error.detail}
        yield msgspec.json.encode({"error": failure}).decode()


@contextmanager
def _told(model: CallableModel) -> Generator[None]:
    """Count a failure, and call it as the platform family does."""
    try:
        yield
    except AppError as error:
        metrics.MODEL_CALLS.labels(model.provider, model.name, "error").inc()
        if isinstance(error, ModelFailed) and _UNREACHED in error.detail:
            raise LlmUnreachable(error.detail, retryable=error.retryable) from error
        raise


def _count(model: CallableModel, reply: ModelReply) -> None:
    labels = (model.provider, model.name)
    metrics.MODEL_CALLS.labels(*labels, "ok").inc()
    metrics.MODEL_TOKENS.labels(*labels, "input").inc(reply.usage.input_tokens)
    metrics.MODEL_TOKENS.labels(*labels, "output").inc(reply.usage.output_tokens)
    if reply.cost:
        metrics.MODEL_COST.labels(*labels).inc(reply.cost)
