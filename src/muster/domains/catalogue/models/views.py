"""How models are shown: those of the project and those of the environment alike."""

from collections.abc import Collection

from muster.domains.catalogue.models.models import Model
from muster.domains.catalogue.models.naming import Named
from muster.domains.catalogue.models.providers import Environment, Provider
from muster.domains.catalogue.models.readiness import lacks
from muster.domains.catalogue.models.schemas import (
    ConfigurationIssue,
    ModelList,
    ModelOut,
    ModelReadiness,
    ModelStatus,
    Source,
)

_READY = ModelReadiness(is_ready=True, issues=[], summary="Ready.")
_BUILTIN_DESCRIPTION = (
    "Built in, without weights or network: calls the tools that fit and answers by quoting the "
    "best sentences of what it was given."
)


def own_view(model: Model, environment: Environment, secrets: Collection[str]) -> ModelOut:
    """Return a model of the project as it is shown."""
    problems = lacks(model, environment, secrets)
    issues = [ConfigurationIssue(code=p.code, message=p.detail) for p in problems]
    status = ModelStatus.INCOMPLETE if issues else ModelStatus.READY
    summary = " ".join(issue.message for issue in issues) or _READY.summary
    return ModelOut(
        id=model.id,
        key=model.name,
        name=model.name,
        provider=model.provider,
        model=model.model,
        source=Source.PROJECT,
        status=status if model.enabled else ModelStatus.DISABLED,
        enabled=model.enabled,
        api_key_name=model.api_key_name,
        base_url=model.base_url,
        parameters=model.parameters,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        input_price=model.input_price,
        output_price=model.output_price,
        cached_price=model.cached_price,
        description=model.description,
        configuration_status=ModelReadiness(is_ready=not issues, issues=issues, summary=summary),
        created_at=model.created_at,
        updated_at=model.updated_at,
    )


def named_view(named: Named) -> ModelOut:
    """Return a model of the environment as it is shown. The operator's address is not told."""
    config = named.config
    return ModelOut(
        id=named.name,
        key=named.name,
        name=named.name,
        provider=config.name if config else Provider.BUILTIN,
        model=named.model,
        source=Source.ENVIRONMENT if config else Source.BUILTIN,
        status=ModelStatus.READY,
        enabled=True,
        api_key_name=None,
        base_url=None,
        parameters={},
        context_window=None,
        max_output_tokens=None,
        input_price=None,
        output_price=None,
        cached_price=None,
        description=None if config else _BUILTIN_DESCRIPTION,
        configuration_status=_READY,
        created_at=None,
        updated_at=None,
    )


def fits(view: ModelOut, params: ModelList) -> bool:
    """Tell whether a model passes the filters of a list."""
    if params.provider is not None:
        provider = Provider(view.provider)
        same = {Provider.GEMINI: Provider.GOOGLE}
        if same.get(provider, provider) != same.get(params.provider, params.provider):
            return False
    if params.enabled is not None and view.enabled != params.enabled:
        return False
    if params.source is not None and view.source != params.source:
        return False
    needle = (params.search or "").lower()
    return needle in view.name.lower() or needle in view.model.lower()
