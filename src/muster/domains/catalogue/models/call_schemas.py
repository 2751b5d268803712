"""Request and response bodies of calls of a model, in the notation of chat completions."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from muster.adapters.models import Message, ModelReply, ToolCall, ToolSpec
from muster.domains.catalogue.models.schemas import Parameters
from muster.kernel.json_schema import schema_fault
from muster.kernel.schemas import In

_MOST_TEXT = 4_000_000
_MOST_TURNS = 2_000

Text = Annotated[str, StringConstraints(max_length=_MOST_TEXT, strip_whitespace=False)]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        description="Name or id of a model of the project, `builtin/extractive`, `provider/model`, "
        "or a name that a provider of the environment lists.",
        examples=["builtin/extractive"],
    ),
]
FunctionName = Annotated[str, Field(min_length=1, max_length=128)]


class TextPart(In):
    type: Literal["text"] = "text"
    text: Text


class CalledFunction(In):
    name: FunctionName
    arguments: Annotated[Text, Field(description="JSON.", examples=['{"city": "Oslo"}'])]


class CalledTool(In):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(In):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None
    tool_calls: Annotated[list[CalledTool] | None, Field(max_length=128)] = None
    tool_call_id: Annotated[
        str | None, Field(max_length=200, description="Which call a `tool` turn answers.")
    ] = None
    name: Annotated[str | None, Field(max_length=128)] = None

    @model_validator(mode="after")
    def _answers_a_call(self) -> "ChatMessage":
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a turn of the role 'tool' needs the 'tool_call_id' that it answers")
        return self

    def message(self) -> Message:
        """Return the turn as the model adapters take it."""
        content = self.content or ""
        return Message(
            role="system" if self.role == "developer" else self.role,
            content=content if isinstance(content, str) else "".join(p.text for p in content),
            tool_calls=tuple(_call(call) for call in self.tool_calls or ()),
            tool_call_id=self.tool_call_id,
            name=self.name,
        )


def _sound(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema and (fault := schema_fault(schema)):
        raise ValueError(fault.text)
    return schema


class OfferedFunction(In):
    name: Annotated[FunctionName, Field(pattern=r"^[A-Za-z0-9_.\-]+$")]
    description: Annotated[str, Field(max_length=20_000)] = ""
    parameters: Annotated[
        dict[str, Any] | None,
        AfterValidator(_sound),
        Field(description="JSON Schema of type object; absent: none."),
    ] = None


class OfferedTool(In):
    type: Literal["function"] = "function"
    function: OfferedFunction

    def spec(self) -> ToolSpec:
        """Return the tool as the model adapters take it."""
        schema = self.function.parameters or {"type": "object", "properties": {}}
        return ToolSpec(
            name=self.function.name, description=self.function.description, parameters=schema
        )


Turns = Annotated[
    list[ChatMessage], Field(max_length=_MOST_TURNS, description="The conversation, oldest first.")
]


class InferenceIn(In):
    model: Reference
    prompt: Annotated[Text, Field(min_length=1, description="What to answer.")]
    history: Annotated[Turns, Field(description="Turns before the prompt, oldest first.")] = []  # noqa: RUF012 - Pydantic copies it
    settings: Annotated[
        Parameters | None, Field(description="They go before the settings of the model.")
    ] = None


class InferenceOut(BaseModel):
    output: Annotated[str, Field(description="What the model answered.")]
    response: Annotated[str, Field(description="The same as `output`.")]
    model: str
    provider: str
    usage: "TokenUsage"
    cost: Annotated[float | None, Field(description="US dollars; null where unknown.")]


class GenerateIn(Parameters):
    """A chat completion. The settings go before those of the model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "builtin/extractive",
                    "messages": [{"role": "user", "content": "What is 2 + 2?"}],
                }
            ]
        }
    )

    model: Reference | None = None
    model_id: Annotated[Reference | None, Field(description="The same as `model`.")] = None
    messages: Turns | None = None
    history: Annotated[Turns | None, Field(description="The same as `messages`.")] = None
    prompt: Annotated[Text | None, Field(min_length=1, description="A last turn of the user.")] = (
        None
    )
    tools: Annotated[
        list[OfferedTool] | None,
        Field(max_length=128, description="Offered to the model; the caller carries them out."),
    ] = None
    stream: Annotated[
        bool, Field(description="Answer as server-sent events that end with `[DONE]`.")
    ] = False

    @model_validator(mode="after")
    def _is_whole(self) -> "GenerateIn":
        if (self.model is None) == (self.model_id is None):
            raise ValueError("name the model in 'model' or in 'model_id', which mean the same")
        if self.messages is not None and self.history is not None:
            raise ValueError("give the turns in 'messages' or in 'history', which mean the same")
        if not self.turns():
            raise ValueError("give a 'prompt', 'messages', or both")
        return self

    @property
    def reference(self) -> str:
        """The model that is meant."""
        return self.model or self.model_id or ""

    def turns(self) -> list[ChatMessage]:
        """Return the whole conversation."""
        turns = list(self.messages or self.history or [])
        if self.prompt is not None:
            turns.append(ChatMessage(role="user", content=self.prompt))
        return turns

    def settings(self) -> dict[str, Any]:
        """Return the settings that this call gives itself."""
        given = self.model_dump(include=set(Parameters.model_fields))
        return Parameters.model_validate(given).settings()


class PromptTokens(BaseModel):
    cached_tokens: int


class CompletionTokens(BaseModel):
    reasoning_tokens: int


class TokenUsage(BaseModel):
    """Tokens of the call; cached and reasoning ones are part of the counts above them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens

    @classmethod
    def of(cls, reply: ModelReply) -> "TokenUsage":
        """Return the usage of a reply."""
        usage = reply.usage
        return cls(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=PromptTokens(cached_tokens=usage.cached_tokens),
            completion_tokens_details=CompletionTokens(reasoning_tokens=usage.reasoning_tokens),
        )


class AnswerFunction(BaseModel):
    name: str
    arguments: str


class AnswerTool(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: AnswerFunction


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[AnswerTool] | None


class AnswerChoice(BaseModel):
    index: int = 0
    message: AnswerMessage
    finish_reason: str


class ChatCompletion(BaseModel):
    """The answer, as chat completions have it, and what it cost."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: TokenUsage
    cost: Annotated[float | None, Field(description="US dollars; null where unknown.")]


def answer_tools(reply: ModelReply) -> list[AnswerTool] | None:
    """Return the tool calls of a reply, None where there are none."""
    return [
        AnswerTool(id=call.id, function=AnswerFunction(name=call.name, arguments=_arguments(call)))
        for call in reply.tool_calls
    ] or None


def _arguments(call: ToolCall) -> str:
    return call.raw if call.raw is not None else msgspec.json.encode(call.arguments).decode()


def _call(given: CalledTool) -> ToolCall:
    text = given.function.arguments
    try:
        arguments, raw = msgspec.json.decode(text or "{}", type=dict[str, Any]), None
    except msgspec.MsgspecError:
        arguments, raw = {}, text
    return ToolCall(id=given.id, name=given.function.name, arguments=arguments, raw=raw)
