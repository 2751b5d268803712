"""Recording runs of Pydantic AI agents, as a capability of theirs.

agent = Agent("openai:gpt-4o", capabilities=[MusterCapability(muster, gate=True)])
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_ai import RunContext
from pydantic_ai.capabilities import (
    AbstractCapability,
    CapabilityOrdering,
    WrapModelRequestHandler,
    WrapRunHandler,
    WrapToolExecuteHandler,
)
from pydantic_ai.exceptions import ApprovalRequired as ToolApprovalRequired
from pydantic_ai.exceptions import CallDeferred
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import ToolDefinition

from muster.sdk.client import Muster
from muster.sdk.errors import StepBlocked
from muster.sdk.steps import Step

Kinds = Mapping[str, tuple[str, str | None]]


@dataclass(kw_only=True)
class _Settings:
    gate: bool = False
    on_block: Literal["raise", "tell"] = "raise"


class MusterCapability(AbstractCapability[Any]):
    """Records requests to models and calls of tools. A run outside a task is a task of its own.

    Args:
        muster: Where they are recorded.
        gate: Whether policies are asked before each of them.
        kinds: Kind and verb by name of the tool; `step.exec` for others.
        on_block: What a refused tool does: "raise" ends the run with `StepBlocked`, "tell" gives
            the refusal to the model as the tool's result. A refused model always raises.
    """

    def __init__(
        self,
        muster: Muster,
        *,
        gate: bool = False,
        kinds: Kinds | None = None,
        on_block: Literal["raise", "tell"] = "raise",
    ) -> None:
        self._muster, self._kinds = muster, dict(kinds or {})
        self._settings = _Settings(gate=gate, on_block=on_block)

    def get_ordering(self) -> CapabilityOrdering | None:
        """Stand around all others: what they change or refuse is recorded as it happened."""
        return CapabilityOrdering(position="outermost")

    async def wrap_run(
        self, ctx: RunContext[Any], *, handler: WrapRunHandler
    ) -> AgentRunResult[Any]:
        """Make a task of the run, unless one is open."""
        if self._muster.current_task() is not None:
            return await handler()
        name = ctx.agent.name if ctx.agent is not None else None
        async with self._muster.task(inputs=ctx.prompt, name=name) as task:
            result = await handler()
            task.output = result.output
            return result

    async def wrap_model_request(
        self,
        ctx: RunContext[Any],  # noqa: ARG002
        *,
        request_context: ModelRequestContext,
        handler: WrapModelRequestHandler,
    ) -> ModelResponse:
        """Record a request to a model."""
        model = request_context.model
        messages = ModelMessagesTypeAdapter.dump_python(request_context.messages, mode="json")
        recorded = self._muster.step(
            "step.model",
            model.model_name,
            input={"messages": messages},
            properties={"model": model.model_name, "provider": model.system},
            gate=self._settings.gate,
        )
        async with recorded as step:
            response = await handler(request_context)
            _tell(step, response)
            return response

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],  # noqa: ARG002
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,  # noqa: ARG002
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Record a call of a tool."""
        kind, verb = self._kinds.get(call.tool_name, ("step.exec", None))
        recorded = self._muster.step(
            kind,
            call.tool_name,
            verb=verb,
            input=args,
            properties={"tool_call_id": call.tool_call_id},
            gate=self._settings.gate,
        )
        try:
            step = await recorded.__aenter__()
        except StepBlocked as blocked:
            if self._settings.on_block == "tell":
                return f"Refused: {blocked}"
            raise
        try:
            step.output = await handler(args)
        except (CallDeferred, ToolApprovalRequired) as deferred:
            # No failure: the call is answered in a later run.
            step.status = "deferred"
            await recorded.__aexit__(None, None, None)
            raise deferred from None
        except BaseException as error:
            await recorded.__aexit__(type(error), error, error.__traceback__)
            raise
        await recorded.__aexit__(None, None, None)
        return step.output


def _tell(step: Step, response: ModelResponse) -> None:
    usage = response.usage
    step.output = ModelMessagesTypeAdapter.dump_python([response], mode="json")[0]["parts"]
    step.usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_tokens,
        reasoning_tokens=usage.details.get("reasoning_tokens", 0),
    )
    if response.model_name:
        step.properties["answering_model"] = response.model_name
