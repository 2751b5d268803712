"""A provider as a user set it up, and how the providers of its family are spoken to."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from muster.adapters.models.base import ModelUnsupported
from muster.adapters.models.failures import Endpoint

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_NO_KEY = "none"  # the libraries insist on a key, servers without authentication do not
_OPENAI_NAMES = ("gpt-", "o1", "o3", "o4", "chatgpt-", "ft:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider as a user set it up.

    Attributes:
        family: A name in `FAMILIES`.
        name: What failures and logs call the provider.
        api_key: The key, in the clear; never shown.
        base_url: Where the API answers; None for the family's own address.
        trusted: The address comes from the operator, not from a user: the caller picks the HTTP
            client by it.
    """

    family: str
    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    trusted: bool = False


class Family:
    """How the providers of one family are spoken to.

    This one is OpenAI and everything that speaks like it.
    """

    name: ClassVar[str] = "openai"
    title: ClassVar[str] = "OpenAI or compatible"
    default_base_url: ClassVar[str | None] = "https://api.openai.com/v1"
    needs_key: ClassVar[bool] = False
    path_when_bare: ClassVar[str] = ""
    path_to_drop: ClassVar[str] = ""
    models_path: ClassVar[str] = "/models"

    def base_url(self, config: ProviderConfig) -> str:
        """Return the address as the family's library wants it, without a slash at its end."""
        url = (config.base_url or self.default_base_url or "").strip().rstrip("/")
        if not url:
            raise ModelUnsupported(
                f"The provider {config.name!r} needs a base URL, such as http://127.0.0.1:11434."
            )
        if self.path_to_drop:
            url = url.removesuffix(self.path_to_drop)
        bare = not urlsplit(url).path
        return url + self.path_when_bare if bare else url

    def key(self, config: ProviderConfig) -> str:
        """Return the key to send, or a placeholder where the family's servers may need none."""
        if config.api_key:
            return config.api_key
        if self.needs_key and config.base_url is None:
            raise ModelUnsupported(f"The provider {config.name!r} has no API key. Set one first.")
        return _NO_KEY

    def endpoint(self, config: ProviderConfig) -> Endpoint:
        """Return what failures may say about the provider."""
        return Endpoint(provider=config.name, base_url=self.base_url(config), secret=config.api_key)

    def priced_as(self, config: ProviderConfig) -> str | None:
        """Return whose published prices count: the family's, or those of a known API address."""
        if config.base_url is None or self._is_own_address(config):
            return self.name
        return self.base_url(config)

    def model(self, config: ProviderConfig, model_name: str, client: Any) -> "Model[Any]":
        """Return the pydantic-ai model. Imports the provider's library."""
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        sdk = self._openai_sdk(config, client)
        if self._is_own_address(config):
            return OpenAIChatModel(model_name, provider=OpenAIProvider(openai_client=sdk))
        provider = OpenAICompatibleProvider(self.name, openai_client=sdk)
        return OpenAIChatModel(model_name, provider=provider, profile=_plain_profile(model_name))

    def models_request(self, config: ProviderConfig) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Return address, headers and query of the request that lists the models."""
        headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
        return self.base_url(config) + self.models_path, headers, {}

    def model_names(self, answer: dict[str, Any]) -> list[str]:
        """Return the names in the answer to the request that lists the models."""
        return [str(entry["id"]) for entry in answer["data"]]

    def next_page(self, answer: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the query for the next page of names, or None after the last."""
        return None

    def _is_own_address(self, config: ProviderConfig) -> bool:
        own = urlsplit(self.default_base_url or "").hostname
        return own is not None and urlsplit(self.base_url(config)).hostname == own

    def _openai_sdk(self, config: ProviderConfig, client: Any) -> Any:
        from muster.adapters.models.openai_sdk import openai_sdk

        return openai_sdk(api_key=self.key(config), base_url=self.base_url(config), client=client)


def _plain_profile(model_name: str) -> Any:
    """Return what may be expected of a server that speaks like OpenAI but is another."""
    from pydantic_ai.profiles import merge_profile
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    profile = OpenAICompatibleProvider.model_profile(model_name)
    if model_name.lower().startswith(_OPENAI_NAMES):
        return profile  # a proxy to OpenAI, whose newer models refuse the older field
    return merge_profile(
        profile, OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
    )
