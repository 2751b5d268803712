"""What a logged step says of tokens and cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, cast

from muster.adapters.models import Usage, price
from muster.domains.control.policies import NormalStep

_MOST = 2**31 - 1
_FAMILIES = {
    "gpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "grok": "x-ai",
    "command": "cohere",
}
"""Whose price list counts for a model that is named without its provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Tokens of a step, and its cost in US dollars where somebody knows it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None


_NOTHING = Spent()


def spent(step: NormalStep, at: datetime) -> Spent:
    """Return what a step says it has used.

    Looked for in `properties.usage`, then in `properties`, then in `meta`. What is no number there
    is not taken for one: these are free-form fields, and they are kept as they are.
    """
    places = _places(step)
    if not places:
        return _NOTHING
    counts = {
        name: _count(places, name)
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    }
    cost = _cost(places)
    if cost is None and (counts["input_tokens"] or counts["output_tokens"]):
        cost = _priced(places, counts, at)
    return Spent(**counts, cost=cost)


def _places(step: NormalStep) -> list[Mapping[str, Any]]:
    usage = step.properties.get("usage")
    nested = [cast("Mapping[str, Any]", usage)] if isinstance(usage, dict) else []
    return [place for place in (*nested, step.properties, step.meta) if place]


def _count(places: list[Mapping[str, Any]], name: str) -> int:
    for place in places:
        value = place.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value
    return 0


def _cost(places: list[Mapping[str, Any]]) -> float | None:
    for place in places:
        for name in ("cost", "cost_usd"):
            value = place.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if 0 <= value <= _MOST and isfinite(value):
                return float(value)
    return None


def _priced(places: list[Mapping[str, Any]], counts: dict[str, int], at: datetime) -> float | None:
    model = _text(places, "model", "model_name")
    if model is None:
        return None
    provider = _text(places, "provider")
    if provider is None and "/" in model:
        provider, _, model = model.partition("/")
    return price(provider or provider_of(model), model, Usage(**counts), at)


def provider_of(model: str) -> str | None:
    """Return whose model it is, as far as its name says."""
    if "/" in model:
        return model.partition("/")[0]
    named = model.casefold()
    return next((p for start, p in _FAMILIES.items() if named.startswith(start)), None)


def _text(places: list[Mapping[str, Any]], *names: str) -> str | None:
    for place in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and value:
                return value
    return None
