"""What the tests of the model adapters share: families with their servers, and a client."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from muster.adapters.models import (
    ChatModel,
    Message,
    ModelReply,
    ModelRequest,
    PriceTable,
    ProviderConfig,
    RetryPolicy,
    StreamEvent,
    ToolSpec,
    build,
)
from muster.kernel.egress import Egress, EgressPolicy
from tests.support.model_server import (
    OpenAIWire,
    Reply,
    Script,
    ScriptedServer,
    Wire,
    model_server,
)
from tests.support.provider_servers import (
    AnthropicWire,
    DeepSeekWire,
    GoogleWire,
    GroqWire,
    MistralWire,
    OllamaWire,
)

KEY = "sk-test-4f9a8b7c6d5e4f3a2b1c"
UNUSED_TLS = ssl.create_default_context()  # making one takes longer than most tests
QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02, jitter=0.01)
ADD = ToolSpec(
    name="add",
    description="Adds two numbers",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "label": {"type": "string"}},
    "required": ["x", "label"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Case:
    family: str
    model: str
    wire: type[Any]
    path: str
    counts_reasoning: bool = True
    counts_cached: bool = True


CASES = [
    Case("openai", "gpt-4o-mini", OpenAIWire, "/v1"),
    Case("anthropic", "claude-sonnet-4-6", AnthropicWire, "", counts_reasoning=False),
    Case("google", "gemini-2.5-pro", GoogleWire, ""),
    Case("mistral", "mistral-large-latest", MistralWire, ""),
    Case("groq", "llama-3.3-70b-versatile", GroqWire, ""),
    Case("deepseek", "deepseek-chat", DeepSeekWire, "/v1"),
    Case("ollama", "llama3.2:3b", OllamaWire, "", counts_reasoning=False, counts_cached=False),
]


@dataclass
class Setting:
    """A model and the scripted server that answers for it."""

    server: ScriptedServer
    model: ChatModel
    client: Any
    config: ProviderConfig


@asynccontextmanager
async def asked(
    script: Script | list[Reply],
    case: Case = CASES[0],
    *,
    model: str | None = None,
    prices: PriceTable | None = None,
    policy: RetryPolicy = QUICK,
    egress_policy: EgressPolicy | None = None,
) -> AsyncIterator[Setting]:
    wire: Wire = case.wire()
    egress = Egress(egress_policy or EgressPolicy(), ssl_context=UNUSED_TLS)
    client = egress.client(trusted=egress_policy is None)
    async with model_server(script, wire=wire, path=case.path) as server:
        config = ProviderConfig(
            family=case.family, name="Our provider", api_key=KEY, base_url=server.base_url
        )
        built = build(config, model or case.model, client=client, prices=prices, policy=policy)
        yield Setting(server, built, client, config)
    await egress.aclose()


def request(text: str = "Hello", **options: Any) -> ModelRequest:
    return ModelRequest(messages=[Message(role="user", content=text)], **options)


async def ask(model: ChatModel, asked_for: ModelRequest, *, as_stream: bool) -> ModelReply:
    if as_stream:
        return (await streamed(model, asked_for))[1]
    return await model.request(asked_for)


async def streamed(model: ChatModel, asked_for: ModelRequest) -> tuple[list[StreamEvent], Any]:
    events = [event async for event in model.stream(asked_for)]
    reply = events.pop()
    assert isinstance(reply, ModelReply)
    return events, reply
