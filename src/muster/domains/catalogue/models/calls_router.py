"""HTTP surface of calls of a model. They hold no session while the model works."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from muster.adapters.models import ModelFailed, ModelTimeout, ModelUnsupported
from muster.domains.catalogue.models.admission import Admission
from muster.domains.catalogue.models.call_schemas import (
    ChatCompletion,
    ChatMessage,
    GenerateIn,
    InferenceIn,
    InferenceOut,
    TokenUsage,
)
from muster.domains.catalogue.models.calling import ask, completion, open_stream, request_of
from muster.domains.catalogue.models.errors import (
    BudgetExceeded,
    CircuitOpen,
    LlmUnreachable,
    ModelDisabled,
    ModelNotReady,
    ModelUnknown,
    OfflineProviderBlocked,
)
from muster.domains.catalogue.models.router import Catalogue
from muster.kernel.http import Router, problems
from muster.platform.access import Caller, Scope, requires

router = Router("/models", tag="Models")

CanInvoke = Annotated[Caller, requires(Scope.MODELS_INVOKE)]


async def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.bare_calls
    return admission


Admitting = Annotated[Admission, Depends(_admission)]

_FAILURES = problems(
    ModelUnknown,
    ModelDisabled,
    ModelNotReady,
    OfflineProviderBlocked,
    ModelUnsupported,
    ModelFailed,
    LlmUnreachable,
    ModelTimeout,
    BudgetExceeded,
    CircuitOpen,
)
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.post("/inference", response_model=InferenceOut, responses=_FAILURES)
async def infer_with_model(
    caller: CanInvoke, catalogue: Catalogue, admission: Admitting, body: InferenceIn
) -> InferenceOut:
    """Ask a model one thing and get its answer as text.

    This is a bare call, not a run: it has no tools, writes no journal, and is bound by no policy.
    Access rules, the budgets of the project and of the API key, and circuit breakers bind it: they
    refuse it with `access_denied_by_rule`, `budget_exceeded` and `circuit_open`.
    """
    model = await catalogue.resolve(caller.project_id, body.model)
    turns = [*body.history, ChatMessage(role="user", content=body.prompt)]
    settings = body.settings.settings() if body.settings else {}
    reply = await ask(admission, caller, model, request_of(model, turns, settings))
    return InferenceOut(
        output=reply.content,
        response=reply.content,
        model=reply.model,
        provider=reply.provider,
        usage=TokenUsage.of(reply),
        cost=reply.cost,
    )


@router.post("/generate", response_model=ChatCompletion, responses={**_FAILURES, **_STREAM})
async def generate_with_model(
    caller: CanInvoke, catalogue: Catalogue, admission: Admitting, body: GenerateIn
) -> ChatCompletion | Response:
    """Ask a model for a chat completion, whole or as a stream of `chat.completion.chunk`.

    This is a bare call, not a run: tools are offered to the model but never carried out here, no
    journal is written, and no policy binds it. Access rules, the budgets of the project and of the
    API key, and circuit breakers bind it, as they do `/models/inference`.
    """
    model = await catalogue.resolve(caller.project_id, body.reference)
    request = request_of(model, body.turns(), body.settings(), body.tools or ())
    if not body.stream:
        return completion(await ask(admission, caller, model, request))
    from sse_starlette import EventSourceResponse, ServerSentEvent

    pieces = await open_stream(admission, caller, model, request)

    async def events() -> AsyncGenerator[ServerSentEvent]:
        async with aclosing(pieces):
            async for piece in pieces:
                yield ServerSentEvent(data=piece)

    return EventSourceResponse(events(), sep="\n")
