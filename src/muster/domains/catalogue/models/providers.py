"""Which providers there are: the names that may be used, and those set up from the environment."""

from enum import StrEnum
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from muster.adapters.models import FAMILIES, ProviderConfig
from muster.adapters.models.extractive import MODEL as BUILTIN_MODEL
from muster.kernel.settings import Providers, UnsafeSettings

__all__ = ["BUILTIN_MODEL", "Environment", "Provider", "RuntimeProfile"]

RuntimeProfile = Literal["online", "offline"]

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class Provider(StrEnum):
    """The providers of models. Those without a family of their own speak like OpenAI."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    GEMINI = "gemini"
    MISTRAL = "mistral"
    DEEPSEEK = "deepseek"
    GROQ = "groq"
    OLLAMA = "ollama"
    OPENAI_COMPATIBLE = "openai_compatible"
    VLLM = "vllm"
    DATABRICKS = "databricks"
    BUILTIN = "builtin"

    @property
    def family(self) -> str:
        """The name in `FAMILIES` of the protocol that the provider speaks."""
        if self is Provider.GEMINI:
            return "google"
        return self.value if self.value in FAMILIES else "openai"

    @property
    def needs_address(self) -> bool:
        """Tell whether there is no address that could be assumed."""
        return self in {
            Provider.OPENAI_COMPATIBLE,
            Provider.VLLM,
            Provider.DATABRICKS,
            Provider.OLLAMA,
        }

    @classmethod
    def named(cls, name: str) -> "Provider | None":
        """Return the provider of this name, in any case."""
        try:
            return cls(name.strip().lower())
        except ValueError:
            return None


def providers_from_environment(environment: Providers) -> list[ProviderConfig]:
    """Return the providers that the operator set up, in the order in which names are looked up.

    Raises:
        UnsafeSettings: An address is none.
    """
    found: list[ProviderConfig] = []
    for name, prefix, key, address in (
        ("openai", "OPENAI", environment.openai_api_key, environment.openai_base_url),
        ("anthropic", "ANTHROPIC", environment.anthropic_api_key, environment.anthropic_base_url),
        ("google", "GEMINI", environment.gemini_api_key, environment.gemini_base_url),
        ("mistral", "MISTRAL", environment.mistral_api_key, environment.mistral_base_url),
        ("deepseek", "DEEPSEEK", environment.deepseek_api_key, environment.deepseek_base_url),
        ("groq", "GROQ", environment.groq_api_key, environment.groq_base_url),
        ("ollama", "OLLAMA", None, environment.ollama_base_url),
    ):
        secret, base_url = _text(key), (address or "").strip() or None
        if secret is None and base_url is None:
            continue
        if base_url is not None and not _is_address(base_url):
            raise UnsafeSettings(
                f"{prefix}_BASE_URL must be an address that begins with http:// or https://."
            )
        found.append(
            ProviderConfig(
                family=name,
                name=name,
                api_key=secret,
                base_url=base_url,
                trusted=base_url is not None,
            )
        )
    return found


def is_local(config: ProviderConfig) -> bool:
    """Tell whether a provider answers on this machine or in its private network."""
    family = FAMILIES[config.family]
    host = urlsplit(config.base_url or family.default_base_url or "").hostname
    if host is None:
        return config.family == "ollama"
    try:
        return not ip_address(host).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_LOCAL_SUFFIXES)


class Environment:
    """The providers of this installation and what the runtime profile lets them do.

    Args:
        providers: Those set up by the operator.
        runtime_profile: The forced profile. Absent: online when one of them is in the cloud.
    """

    def __init__(
        self, providers: list[ProviderConfig], runtime_profile: RuntimeProfile | None = None
    ) -> None:
        self.providers = {config.name: config for config in providers}
        cloud = any(not is_local(config) for config in providers)
        self.profile: RuntimeProfile = runtime_profile or ("online" if cloud else "offline")

    def find(self, provider: Provider) -> ProviderConfig | None:
        """Return how the operator set up a provider, if at all."""
        name = "google" if provider is Provider.GEMINI else provider.value
        return self.providers.get(name)

    def blocks(self, config: ProviderConfig) -> bool:
        """Tell whether the runtime profile refuses to call a provider."""
        return self.profile == "offline" and not is_local(config)

    @property
    def usable(self) -> list[ProviderConfig]:
        """The providers that may be called."""
        return [config for config in self.providers.values() if not self.blocks(config)]


def _text(secret: SecretStr | None) -> str | None:
    return (secret.get_secret_value().strip() if secret else "") or None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
