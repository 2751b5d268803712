"""Between our messages and those of the pydantic-ai model classes, both ways."""

import json
from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai import messages as theirs
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from muster.adapters.models.base import (
    Message,
    ModelRequest,
    Thinking,
    ToolCall,
    ToolSpec,
    Usage,
)

OUTPUT_TOOL = "final_result"
_PASSED_SETTINGS = (
    "temperature",
    "max_tokens",
    "top_p",
    "stop_sequences",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "thinking",
)
_FINISH_REASONS = {"tool_call": "tool_calls"}


def to_history(messages: Sequence[Message], *, system: str) -> list[theirs.ModelMessage]:
    """Return the conversation in their form.

    Args:
        messages: The conversation, oldest first.
        system: The name of the provider asked now: reasoning that another one wrote stays behind,
            since its signatures mean nothing here.
    """
    history: list[theirs.ModelMessage] = []
    turn: list[theirs.ModelRequestPart] = []
    tool_names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        if message.role == "assistant":
            if turn:
                history.append(theirs.ModelRequest(parts=turn))
                turn = []
            history.append(_to_response(message, system))
        else:
            turn.append(_to_part(message, tool_names))
    if turn:
        history.append(theirs.ModelRequest(parts=turn))
    return history


def to_settings(settings: dict[str, Any], *, timeout: float) -> ModelSettings:
    """Return the settings that a provider may be sent; `timeout` bounds one attempt."""
    passed = {name: settings[name] for name in _PASSED_SETTINGS if settings.get(name) is not None}
    return cast("ModelSettings", passed | {"timeout": timeout})


def to_parameters(request: ModelRequest, model: Model[Any]) -> ModelRequestParameters:
    """Return the tools and the output schema, in the strictest form that the model knows."""
    tools = [_to_tool(tool) for tool in request.tools]
    schema = request.output_schema
    if schema is None:
        return ModelRequestParameters(function_tools=tools)
    mode = _output_mode(model, with_tools=bool(tools))
    if mode == "tool":
        answer = ToolDefinition(
            name=OUTPUT_TOOL,
            description="Give the final answer.",
            parameters_json_schema=schema,
            kind="output",
        )
        return ModelRequestParameters(
            function_tools=tools, output_mode="tool", output_tools=[answer], allow_text_output=False
        )
    described = OutputObjectDefinition(
        json_schema=schema, name="answer", description=schema.get("description")
    )
    return ModelRequestParameters(
        function_tools=tools, output_mode=mode, output_object=described, allow_text_output=True
    )


def text_of(parts: Sequence[theirs.ModelResponsePart]) -> str:
    """Return the text of a reply."""
    return "".join(part.content for part in parts if isinstance(part, theirs.TextPart))


def tool_calls_of(parts: Sequence[theirs.ModelResponsePart]) -> tuple[ToolCall, ...]:
    """Return the tool calls of a reply, the one that carries structured output left out."""
    return tuple(
        _from_call(part)
        for part in parts
        if isinstance(part, theirs.ToolCallPart) and part.tool_name != OUTPUT_TOOL
    )


def output_of(parts: Sequence[theirs.ModelResponsePart]) -> str | None:
    """Return the structured output that came as a tool call, as JSON."""
    for part in parts:
        if isinstance(part, theirs.ToolCallPart) and part.tool_name == OUTPUT_TOOL:
            return part.args_as_json_str()
    return None


def thinking_of(parts: Sequence[theirs.ModelResponsePart], *, system: str) -> tuple[Thinking, ...]:
    """Return the reasoning parts of a reply of the provider `system`."""
    return tuple(
        Thinking(
            content=part.content,
            id=part.id,
            signature=part.signature,
            provider=part.provider_name or system,
        )
        for part in parts
        if isinstance(part, theirs.ThinkingPart)
    )


def usage_of(usage: RequestUsage) -> Usage:
    """Return the tokens of a reply."""
    reasoning = usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0)
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=reasoning,
    )


def finish_reason_of(reason: str | None, *, calls: bool) -> str:
    """Return why the model stopped: stop, length, tool_calls, content_filter or error."""
    if reason in {None, "stop"}:  # some servers say "stop" beside tool calls
        return "tool_calls" if calls else "stop"
    return _FINISH_REASONS.get(reason or "", reason or "stop")


def _to_part(message: Message, tool_names: dict[str, str]) -> theirs.ModelRequestPart:
    if message.role == "system":
        return theirs.SystemPromptPart(message.content)
    if message.role == "user":
        return theirs.UserPromptPart(message.content)
    call_id = message.tool_call_id or ""
    return theirs.ToolReturnPart(
        tool_name=message.name or tool_names.get(call_id, "tool"),
        content=message.content,
        tool_call_id=call_id,
    )


def _to_response(message: Message, system: str) -> theirs.ModelResponse:
    parts: list[theirs.ModelResponsePart] = [
        theirs.ThinkingPart(
            part.content, id=part.id, signature=part.signature, provider_name=part.provider
        )
        for part in message.thinking
        if part.provider == system
    ]
    if message.content:
        parts.append(theirs.TextPart(message.content))
    parts += [_to_call(call, system) for call in message.tool_calls]
    return theirs.ModelResponse(parts=parts, provider_name=system)


def _to_call(call: ToolCall, system: str) -> theirs.ToolCallPart:
    own = call.extra is not None and call.provider == system
    return theirs.ToolCallPart(
        tool_name=call.name,
        # Some providers refuse a history whose arguments are no object.
        args=call.arguments if call.raw is None else {"invalid_json": call.raw},
        tool_call_id=call.id,
        provider_name=system if own else None,
        provider_details=call.extra if own else None,
    )


def _from_call(part: theirs.ToolCallPart) -> ToolCall:
    arguments, raw = _parsed(part.args)
    return ToolCall(
        id=part.tool_call_id,
        name=part.tool_name,
        arguments=arguments,
        raw=raw,
        provider=part.provider_name if part.provider_details else None,
        extra=part.provider_details or None,
    )


def _parsed(args: str | dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    if isinstance(args, dict):
        return args, None
    if args is None or not args.strip():
        return {}, None
    try:
        value = json.loads(args)
    except ValueError:
        return {}, args
    return (cast("dict[str, Any]", value), None) if isinstance(value, dict) else ({}, args)


def _to_tool(tool: ToolSpec) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name, description=tool.description, parameters_json_schema=tool.parameters
    )


def _output_mode(model: Model[Any], *, with_tools: bool) -> Any:
    profile: dict[str, Any] = dict(model.profile)
    # Older Gemini models take tools or a response schema, not both.
    apart = model.system == "google" and not profile.get("google_supports_tool_combination", False)
    if profile.get("supports_json_schema_output", False) and not (with_tools and apart):
        return "native"
    return "tool" if profile.get("supports_tools", True) else "prompted"
