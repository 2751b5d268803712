"""What a model call costs in US dollars; a price that is not known is None, never zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from muster.adapters.models.base import Usage
from muster.kernel import clock

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

BUILTIN = "builtin"
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens. Without a price of their own, cached tokens cost `input`."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None

    def cost(self, usage: Usage) -> float:
        """Return the cost of a call in US dollars."""
        plain = max(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.cache_write is None else self.cache_write
        return (
            plain * self.input
            + usage.cached_tokens * cached
            + usage.cache_write_tokens * written
            + usage.output_tokens * self.output
        ) / _MILLION


_SAMPLE = 1_000


def published_price(provider: str | None, model: str) -> Price | None:
    """Return the published price of a model for short requests, None where nobody knows one.

    For estimates; what a call did cost is said by `price`. The first look reads the price lists,
    which takes a moment: it belongs off the event loop.

    Args:
        provider: Whose price list counts, or the address of its API.
        model: The model's name at the provider.
    """
    if provider is None:
        return None
    at = clock.now()
    read = _published(provider, model, Usage(input_tokens=_SAMPLE), at)
    said = _published(provider, model, Usage(output_tokens=_SAMPLE), at)
    if read is None or said is None:
        return None
    return Price(input=read * _MILLION / _SAMPLE, output=said * _MILLION / _SAMPLE)


PriceTable = Mapping[str, Price]
"""Prices that go before the published ones, by `provider/model`, or by `model` for any provider."""


def price(
    provider: str | None,
    model: str,
    usage: Usage,
    at: datetime,
    *,
    overrides: PriceTable | None = None,
    names: tuple[str, ...] = (),
) -> float | None:
    """Return what a call cost in US dollars, or None where nobody knows.

    Args:
        provider: Whose price list counts, or the address of its API; None for a server whose
            prices nobody publishes, such as one on the own machine.
        model: The model's name at the provider.
        usage: The tokens of the call.
        at: When the call was made, since prices change.
        overrides: Prices that go before the published ones.
        names: More provider names under which `overrides` may list the model.
    """
    listed = _listed(overrides or {}, model, (*names, *((provider,) if provider else ())))
    if listed is not None:
        return listed.cost(usage)
    if provider == BUILTIN:
        return 0.0
    return None if provider is None else _published(provider, model, usage, at)


def _listed(table: PriceTable, model: str, providers: tuple[str, ...]) -> Price | None:
    for key in (*(f"{provider}/{model}" for provider in providers), model):
        if key in table:
            return table[key]
    return None


def _published(provider: str, model: str, usage: Usage, at: datetime) -> float | None:
    rates = _rates(provider, model)
    if rates is not None:
        plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        if min(plain, usage.cached_tokens, usage.cache_write_tokens, usage.output_tokens) >= 0:
            return rates.cost(plain, usage)
    found = _calculated(provider, model, usage, at)
    return None if found is None else float(found.total_price)


class _Rates(NamedTuple):
    """US dollars per token, exactly as published, of a model that always costs the same."""

    input: Decimal
    output: Decimal
    cached: Decimal
    written: Decimal

    def cost(self, plain: int, usage: Usage) -> float:
        """Return the cost of a call; `plain` is its input that was neither cached nor written."""
        return float(
            self.input * plain
            + self.output * usage.output_tokens
            + self.cached * usage.cached_tokens
            + self.written * usage.cache_write_tokens
        )


@lru_cache(maxsize=1_000)
def _rates(provider: str, model: str) -> _Rates | None:
    """Return the rates of a model, or None where the price depends on more than its tokens.

    To calculate by the price lists takes a hundred times as long, too long for each logged step.
    """
    at = clock.now()
    asked = (
        Usage(input_tokens=_SAMPLE),
        Usage(output_tokens=_SAMPLE),
        Usage(input_tokens=_SAMPLE, cached_tokens=_SAMPLE),
        Usage(input_tokens=_SAMPLE, cache_write_tokens=_SAMPLE),
    )
    rates: list[Decimal] = []
    for usage in asked:
        found = _calculated(provider, model, usage, at)
        if found is None or not _is_flat(found):
            return None
        rates.append(found.total_price / _SAMPLE)
    return _Rates(*rates)


def _is_flat(found: "PriceCalculation") -> bool:
    """Tell whether a price changes neither with the time nor with the length of the request."""
    if isinstance(found.model.prices, list):
        return False
    prices = {name: price for name, price in vars(found.model_price).items() if price is not None}
    return all(isinstance(price, Decimal) for price in prices.values()) and not any(
        name.startswith("requests") for name in prices
    )


def _calculated(provider: str, model: str, usage: Usage, at: datetime) -> "PriceCalculation | None":
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    tokens = PricedUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        if "://" in provider:
            return calc_price(tokens, model, provider_api_url=provider, genai_request_timestamp=at)
        return calc_price(tokens, model, provider_id=provider, genai_request_timestamp=at)
    except (LookupError, ValueError):  # an unknown model, or tokens its price list cannot express
        return None
