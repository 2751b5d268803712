"""The documented spellings of an agent's fields, read as the canonical ones."""

from collections.abc import Mapping
from typing import Any

_ALIASES = {"agent_key": "key", "system_prompt": "instructions", "enabled_tools": "tools"}


def canonical(given: Mapping[str, Any], present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return fields under their canonical names; raises `ValueError` on halves that are no text.

    Where two spellings of one field are given, the one that says something new counts: who sends
    back what was read has changed only the spelling that they know.

    Args:
        given: Fields as they were sent.
        present: The definition that they change; None for a new one.
    """
    known = present or {}
    values = dict(given)
    for alias, name in _ALIASES.items():
        if alias in values:
            found = values.pop(alias)
            if name not in values or values[name] == known.get(name):
                values[name] = found
    if "llm_provider" in values or "llm_model" in values:
        joined = _joined(values, known.get("llm"))
        if "llm" not in values or values["llm"] == known.get("llm"):
            values["llm"] = joined
    return values


def _joined(values: dict[str, Any], present: str | None) -> str | None:
    provider, model = split_model(present)
    if "llm_model" in values:
        model = values.pop("llm_model")
        if isinstance(model, str) and "/" in model:
            provider = None  # it names its provider, unless another is given with it
    provider = values.pop("llm_provider", provider)
    return join_model(provider, model)


def split_model(reference: str | None) -> tuple[str | None, str | None]:
    """Return the provider and the name of a reference to a model."""
    provider, slash, model = (reference or "").partition("/")
    return (provider, model) if slash else (None, reference or None)


def join_model(provider: Any, model: Any) -> str | None:
    """Return the reference that a provider and the name of a model make together."""
    for name, value in (("llm_provider", provider), ("llm_model", model)):
        if not isinstance(value, str | None):
            raise ValueError(f"{name} must be a text")  # noqa: TRY004 - pydantic reads this one
    if not provider or not model or model.startswith(f"{provider}/"):
        return model or None
    return f"{provider}/{model}"
