"""Whose model a step has called: agents elsewhere log what they like about it."""

from typing import Any

from muster.domains.work.logs import provider_of

UNKNOWN = "unknown"

_LONGEST = 255


def provider_and_model(provider: Any, model: Any, step_name: str) -> tuple[str, str]:
    """Return the provider and the model of a call.

    Args:
        provider: What the step says of its provider, if anything.
        model: What it says of its model, if anything.
        step_name: Its name, which stands for a model that it does not name.
    """
    named = model if _is_name(model) else None
    whose = provider if _is_name(provider) else named and provider_of(named)
    return whose or UNKNOWN, named or step_name


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST
