"""What a project's model still lacks, and how it is called once it lacks nothing."""

from collections.abc import Collection

from muster.adapters.models import FAMILIES, ProviderConfig
from muster.domains.catalogue.models.errors import ModelNotReady, OfflineProviderBlocked
from muster.domains.catalogue.models.models import Model
from muster.domains.catalogue.models.providers import Environment, Provider
from muster.kernel.errors import AppError


def config_of(
    model: Model, environment: Environment, api_key: str | None = None
) -> ProviderConfig | None:
    """Return the provider of a project's model, None for the built-in one.

    Without an address of its own the model is asked where the operator said that the provider is.
    The operator's key goes only there, never to an address that a user gave.
    """
    provider = Provider(model.provider)
    if provider is Provider.BUILTIN:
        return None
    base_url, trusted = model.base_url, False
    operator = environment.find(provider)
    if base_url is None and operator is not None:
        base_url, trusted = operator.base_url, operator.trusted
        api_key = api_key or (operator.api_key if model.api_key_name is None else None)
    return ProviderConfig(
        family=provider.family,
        name=provider.value,
        api_key=api_key,
        base_url=base_url,
        trusted=trusted,
    )


def lacks(model: Model, environment: Environment, secrets: Collection[str]) -> list[AppError]:
    """Return why a project's model cannot be called, each as the error that a call would raise.

    Args:
        model: The model.
        environment: The providers of the installation.
        secrets: Those names of secrets that stand for a value.
    """
    config = config_of(model, environment)
    if config is None:
        return []
    found: list[AppError] = []
    if model.api_key_name is not None and model.api_key_name not in secrets:
        found.append(
            ModelNotReady(
                f"The model {model.name!r} names the API key {model.api_key_name!r}, which does "
                "not exist, has no value or has expired. Store it with POST /api-keys, or change "
                "api_key_name."
            )
        )
    if config.base_url is None and Provider(model.provider).needs_address:
        found.append(
            ModelNotReady(
                f"The model {model.name!r} has no base_url, and for the provider "
                f"{model.provider!r} none can be assumed. Give one."
            )
        )
        return found
    if config.base_url is None and config.api_key is None and model.api_key_name is None:
        found.append(
            ModelNotReady(
                f"The model {model.name!r} has no API key: name one in api_key_name, or set up "
                f"{FAMILIES[config.family].title} from the environment."
            )
        )
    if environment.blocks(config):
        found.append(blocked(model.name))
    return found


def blocked(name: str) -> OfflineProviderBlocked:
    """Return the refusal of a model whose provider is in the cloud."""
    return OfflineProviderBlocked(
        f"The runtime profile is offline, and the provider of {name!r} is in the cloud. Use a "
        "model of this machine or network, or start the server with "
        "MUSTER_RUNTIME_PROFILE=online."
    )
