"""The provider families, registered by name, and how a model of each is built.

Each provider's library is imported when its first model is asked, and always gets the HTTP client
it is given: none may open connections of its own to an address that a user named. Credentials,
headers and addresses that the libraries would pick up from the environment are shut out, since a
key of the server's operator must not reach the address of a user.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from muster.adapters.models.base import (
    ChatModel,
    ModelReply,
    ModelRequest,
    ModelUnsupported,
    StreamEvent,
)
from muster.adapters.models.family import Family, ProviderConfig
from muster.adapters.models.pricing import PriceTable

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from muster.adapters.models.retries import RetryPolicy

_REMEMBERED_MODELS = 256


class Groq(Family):
    """Groq's own library only takes clients of an older HTTP library, so its OpenAI API is used."""

    name = "groq"
    title = "Groq"
    default_base_url = "https://api.groq.com/openai/v1"
    needs_key = True
    path_when_bare = "/openai/v1"

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles import merge_profile
        from pydantic_ai.profiles.openai import OpenAIModelProfile
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        provider = OpenAICompatibleProvider(
            self.name, openai_client=self._openai_sdk(config, client)
        )
        vendors = ("openai/gpt-oss", "meta-llama/llama-4", "moonshotai/")
        profile = merge_profile(
            OpenAICompatibleProvider.model_profile(model_name),
            OpenAIModelProfile(
                supports_json_schema_output=model_name.lower().startswith(vendors),
                supports_json_object_output=True,
            ),
        )
        return OpenAIChatModel(model_name, provider=provider, profile=profile)


class DeepSeek(Family):
    name = "deepseek"
    title = "DeepSeek"
    default_base_url = "https://api.deepseek.com"
    needs_key = True

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.deepseek import DeepSeekProvider

        sdk = self._openai_sdk(config, client)
        return OpenAIChatModel(model_name, provider=DeepSeekProvider(openai_client=sdk))


class Ollama(Family):
    name = "ollama"
    title = "Ollama"
    default_base_url = None
    path_when_bare = "/v1"

    def priced_as(self, config: ProviderConfig) -> str | None:  # noqa: ARG002
        return None

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from pydantic_ai.models.ollama import OllamaModel
        from pydantic_ai.providers.ollama import OllamaProvider

        sdk = self._openai_sdk(config, client)
        return OllamaModel(model_name, provider=OllamaProvider(openai_client=sdk))


class Anthropic(Family):
    name = "anthropic"
    title = "Anthropic"
    default_base_url = "https://api.anthropic.com"
    needs_key = True
    path_to_drop = "/v1"
    models_path = "/v1/models"

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        sdk = AsyncAnthropic(
            api_key=self.key(config),
            base_url=self.base_url(config),
            http_client=client,
            max_retries=0,
        )
        sdk._custom_headers = {}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        provider = AnthropicProvider(anthropic_client=sdk)
        return AnthropicModel(model_name, provider=provider)

    def models_request(self, config: ProviderConfig) -> tuple[str, dict[str, str], dict[str, Any]]:
        headers = {"x-api-key": self.key(config), "anthropic-version": "2023-06-01"}
        return self.base_url(config) + self.models_path, headers, {"limit": 1000}

    def next_page(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        if not answer.get("has_more") or not answer.get("last_id"):
            return None
        return {"limit": 1000, "after_id": answer["last_id"]}


class Google(Family):
    name = "google"
    title = "Google Gemini"
    default_base_url = "https://generativelanguage.googleapis.com"
    needs_key = True
    path_to_drop = "/v1beta"
    models_path = "/v1beta/models"

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from google.genai import Client
        from google.genai.types import HttpOptions
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        options = HttpOptions(base_url=self.base_url(config), httpx_async_client=client)
        sdk = Client(vertexai=False, api_key=self.key(config), http_options=options)
        return GoogleModel(model_name, provider=GoogleProvider(client=sdk))

    def models_request(self, config: ProviderConfig) -> tuple[str, dict[str, str], dict[str, Any]]:
        headers = {"x-goog-api-key": self.key(config)}
        return self.base_url(config) + self.models_path, headers, {"pageSize": 1000}

    def model_names(self, answer: dict[str, Any]) -> list[str]:
        return [
            str(entry["name"]).removeprefix("models/")
            for entry in answer["models"]
            if "generateContent" in entry.get("supportedGenerationMethods", ["generateContent"])
        ]

    def next_page(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        token = answer.get("nextPageToken")
        return {"pageSize": 1000, "pageToken": token} if token else None


class Mistral(Family):
    name = "mistral"
    title = "Mistral"
    default_base_url = "https://api.mistral.ai"
    needs_key = True
    path_to_drop = "/v1"
    models_path = "/v1/models"

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        from mistralai.client import Mistral as MistralSdk
        from pydantic_ai.models.mistral import MistralModel
        from pydantic_ai.providers.mistral import MistralProvider
        from pydantic_ai.settings import ModelSettings

        sdk = MistralSdk(
            api_key=self.key(config), async_client=client, server_url=self.base_url(config)
        )
        return MistralModel(
            model_name,
            provider=MistralProvider(mistral_client=sdk),
            settings=ModelSettings(max_retries=0),
        )


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (Family(), Anthropic(), Google(), Mistral(), Groq(), DeepSeek(), Ollama())
}


def family_of(config: ProviderConfig) -> Family:
    """Return the family of a provider, or refuse one that is not known."""
    family = FAMILIES.get(config.family)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelUnsupported(
            f"There is no provider family {config.family!r}. Choose one of: {known}."
        )
    return family


def build(
    config: ProviderConfig,
    model_name: str,
    *,
    client: Any,
    prices: PriceTable | None = None,
    policy: "RetryPolicy | None" = None,
) -> ChatModel:
    """Return a model of a provider. Cheap: the provider's library is loaded at the first request.

    Args:
        config: The provider.
        model_name: The model, as the provider calls it.
        client: The guarded HTTP client (`httpx2.AsyncClient`) that all requests go through.
        prices: Prices that go before the published ones.
        policy: How failed calls are repeated.
    """
    family = family_of(config)
    family.key(config)  # refuse now what could only fail later
    family.base_url(config)
    return _Deferred(family, config, model_name, client, prices, policy)


class _Deferred:
    """A model whose provider's library is loaded, off the event loop, when it is first asked."""

    def __init__(
        self,
        family: Family,
        config: ProviderConfig,
        model_name: str,
        client: Any,
        prices: PriceTable | None,
        policy: "RetryPolicy | None",
    ) -> None:
        self._arguments = (family, config, model_name, client)
        self._prices = prices
        self._policy = policy
        self._loaded: ChatModel | None = None

    async def request(self, request: ModelRequest) -> ModelReply:
        model = self._loaded or await self._load()
        return await model.request(request)

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        return self._loaded.stream(request) if self._loaded else self._first_stream(request)

    async def _first_stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        model = await self._load()
        async with aclosing(cast("Any", model.stream(request))) as events:
            async for event in events:
                yield event

    async def _load(self) -> ChatModel:
        self._loaded = await asyncio.to_thread(self._make)
        return self._loaded

    def _make(self) -> ChatModel:
        from muster.adapters.models.pydantic_ai_model import PydanticAIModel
        from muster.adapters.models.retries import RetryPolicy

        family, config, _, _ = self._arguments
        return PydanticAIModel(
            _shared_model(*self._arguments),
            family=family.name,
            endpoint=family.endpoint(config),
            priced_as=family.priced_as(config),
            prices=self._prices,
            policy=self._policy or RetryPolicy(),
        )


@lru_cache(maxsize=_REMEMBERED_MODELS)
def _shared_model(
    family: Family, config: ProviderConfig, model_name: str, client: Any
) -> "Model[Any]":
    return family.model(config, model_name, client)
