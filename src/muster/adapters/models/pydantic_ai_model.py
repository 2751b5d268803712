"""A `ChatModel` over any pydantic-ai model class."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_ai import exceptions as theirs
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings

from muster.adapters.models import failures, structured, translation
from muster.adapters.models.base import (
    ModelFailed,
    ModelReply,
    ModelRequest,
    ModelTimeout,
    ModelUnsupported,
    OutputUnfit,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from muster.adapters.models.failures import Endpoint
from muster.adapters.models.pricing import PriceTable, price
from muster.adapters.models.retries import RetryPolicy, Transient, budget_of, patiently
from muster.kernel import clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One request in their words, and the schema its answer must fit."""

    messages: list[ModelMessage]
    settings: ModelSettings
    parameters: ModelRequestParameters
    schema: dict[str, Any] | None
    budget: float


class PydanticAIModel:
    """Asks one model of one provider.

    Args:
        model: The pydantic-ai model, which speaks the provider's own protocol.
        family: The family's name, for prices of one's own.
        endpoint: Whom failures name.
        priced_as: Provider or API address in the published price lists, None for none.
        prices: Prices that go before the published ones.
        policy: How failed calls are repeated.
    """

    def __init__(
        self,
        model: Model[Any],
        *,
        family: str,
        endpoint: Endpoint,
        priced_as: str | None,
        prices: PriceTable | None,
        policy: RetryPolicy,
    ) -> None:
        self._model = model
        self._family = family
        self._endpoint = endpoint
        self._priced_as = priced_as
        self._prices = prices
        self._policy = policy

    async def request(self, request: ModelRequest) -> ModelReply:
        """Ask and wait for the whole reply; everything together keeps to the request's timeout."""
        call = self._call(request)
        return await self._patiently(call, lambda: self._ask(call))

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Ask and yield the reply as it comes.

        The request's timeout bounds the wait for the first piece, retries included, and then each
        silence between two pieces. Once a piece is out, nothing is repeated.
        """
        call = self._call(request)
        async with AsyncExitStack() as stack:
            opened = await self._patiently(call, lambda: self._open(call, stack))
            for event in opened.first:
                yield event
            while (event := await self._next_within(opened, call)) is not None:
                yield event
            yield self._reply(opened.response.get(), call)

    def _call(self, request: ModelRequest) -> _Call:
        if request.output_schema is not None:
            structured.check_schema(request.output_schema)
        budget = budget_of(request.settings)
        parameters = translation.to_parameters(request, self._model)
        history = translation.to_history(request.messages, system=self._model.system)
        return _Call(
            messages=self._model.prepare_messages(history, parameters),
            settings=translation.to_settings(request.settings, timeout=budget),
            parameters=parameters,
            schema=request.output_schema,
            budget=budget,
        )

    async def _patiently(self, call: _Call, attempt: Callable[[], Awaitable[T]]) -> T:
        return await patiently(
            attempt,
            policy=self._policy,
            budget=call.budget,
            late=lambda: failures.timeout_failure(self._endpoint, call.budget),
            provider=self._endpoint.provider,
            model=self._model.model_name,
        )

    async def _ask(self, call: _Call) -> ModelReply:
        try:
            response = await self._model.request(call.messages, call.settings, call.parameters)
        except Exception as error:
            raise self._verdict(error, call) from error
        return self._reply(response, call)

    async def _open(self, call: _Call, stack: AsyncExitStack) -> "_Opened":
        try:
            async with AsyncExitStack() as attempt:
                response = await attempt.enter_async_context(
                    self._model.request_stream(call.messages, call.settings, call.parameters)
                )
                opened = _Opened(response)
                await opened.read_first()
                stack.push_async_exit(attempt.pop_all())
                return opened
        except Exception as error:
            raise self._verdict(error, call) from error

    async def _next_within(self, opened: "_Opened", call: _Call) -> StreamEvent | None:
        try:
            async with asyncio.timeout(call.budget):
                return await opened.next()
        except TimeoutError as error:
            raise failures.timeout_failure(self._endpoint, call.budget) from error
        except Exception as error:
            verdict = self._verdict(error, call)
            raise (verdict.failure if isinstance(verdict, Transient) else verdict) from error

    def _reply(self, response: ModelResponse, call: _Call) -> ModelReply:
        calls = translation.tool_calls_of(response.parts)
        content = translation.text_of(response.parts)
        if not calls:
            content = translation.output_of(response.parts) or content
        usage = translation.usage_of(response.usage)
        model = response.model_name or self._model.model_name
        reply = ModelReply(
            content=content,
            tool_calls=calls,
            thinking=translation.thinking_of(response.parts, system=self._model.system),
            usage=usage,
            model=model,
            provider=self._endpoint.provider,
            finish_reason=self._finish_reason(response, calls=bool(calls), call=call),
            cost=self._cost(usage, model),
        )
        return reply if call.schema is None or calls else self._fitted(reply, call.schema)

    def _finish_reason(self, response: ModelResponse, *, calls: bool, call: _Call) -> str:
        reason = translation.finish_reason_of(response.finish_reason, calls=calls)
        # The tool call that carried the structured output is not seen outside.
        return "stop" if reason == "tool_calls" and not calls and call.schema else reason

    def _fitted(self, reply: ModelReply, schema: dict[str, Any]) -> ModelReply:
        try:
            content = structured.fitted(reply.content, schema)
        except structured.Unfit as error:
            raise OutputUnfit(
                f"The answer of {self._model.model_name!r} does not fit the output schema: {error}",
                reply=reply,
            ) from error
        return reply if content == reply.content else _with_content(reply, content)

    def _cost(self, usage: Any, answered_as: str) -> float | None:
        names = (self._endpoint.provider, self._family)
        asked_for = self._model.model_name
        if not usage.total_tokens:
            return None  # the server did not count: the price is unknown, not zero
        for model in dict.fromkeys((answered_as, asked_for)):
            cost = price(
                self._priced_as, model, usage, clock.now(), overrides=self._prices, names=names
            )
            if cost is not None:
                return cost
        return None

    def _verdict(
        self, error: Exception, call: _Call
    ) -> Transient | ModelFailed | ModelTimeout | ModelUnsupported:
        if isinstance(error, theirs.ModelHTTPError):
            return self._http_verdict(error)
        broken = failures.unanswered(self._endpoint, error, call.budget)
        if broken is not None:
            lasting = isinstance(broken, ModelFailed) and not broken.retryable
            return broken if lasting else Transient(broken, reason=type(error).__name__)
        if isinstance(error, theirs.UserError):
            return ModelUnsupported(
                f"The model {self._model.model_name!r} of {self._endpoint.provider} cannot do what "
                "was asked: it lacks tools, structured output or a setting of the request. Choose "
                "another model, or ask without them."
            )
        return failures.unreadable_answer(self._endpoint)

    def _http_verdict(self, error: theirs.ModelHTTPError) -> Transient | ModelFailed:
        quota = isinstance(error, theirs.ModelQuotaExceededError)
        failure = failures.http_failure(
            self._endpoint,
            error.status_code,
            model=self._model.model_name,
            body=error.body,
            retry_after=error.retry_after,
            quota=quota,
        )
        if not quota and failures.is_transient_status(error.status_code):
            reason = f"HTTP {error.status_code}"
            return Transient(failure, reason=reason, retry_after=error.retry_after)
        return failure


class _Opened:
    """A stream that has begun to answer."""

    def __init__(self, response: StreamedResponse) -> None:
        self.response = response
        self.first: list[StreamEvent] = []
        self._events = aiter(response)

    async def read_first(self) -> None:
        event = await self.next()
        if event is not None:
            self.first.append(event)

    async def next(self) -> StreamEvent | None:
        """Return the next piece of the answer, or None at its end."""
        async for event in self._events:
            delta = _delta(event)
            if delta is not None:
                return delta
        return None


def _delta(event: ModelResponseStreamEvent) -> StreamEvent | None:
    match event:
        case PartStartEvent(part=TextPart(content=text)) if text:
            return TextDelta(text=text)
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)) if text:
            return TextDelta(text=text)
        case PartStartEvent(part=ThinkingPart(content=text)) if text:
            return ThinkingDelta(text=text)
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)) if text:
            return ThinkingDelta(text=text)
        case _:
            return None


def _with_content(reply: ModelReply, content: str) -> ModelReply:
    return ModelReply(
        content=content,
        tool_calls=reply.tool_calls,
        thinking=reply.thinking,
        usage=reply.usage,
        model=reply.model,
        provider=reply.provider,
        finish_reason=reply.finish_reason,
        cost=reply.cost,
    )
