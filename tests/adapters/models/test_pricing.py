"""Prices: published ones, one's own, and the honest None."""

from datetime import UTC, datetime

import pytest
from genai_prices.data_snapshot import get_snapshot

from muster.adapters.models import Price, Usage, price
from muster.adapters.models.pricing import _calculated, _rates

AT = datetime(2025, 6, 1, tzinfo=UTC)
USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=500_000)


def test_knows_published_prices() -> None:
    assert price("openai", "gpt-4o-mini", USAGE, AT) == pytest.approx(0.075 + 0.0375 + 0.06)


def test_knows_a_provider_by_the_address_of_its_api() -> None:
    assert price("https://api.openai.com/v1", "gpt-4o-mini", USAGE, AT) == price(
        "openai", "gpt-4o-mini", USAGE, AT
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-provider", "gpt-4o-mini"),
        ("http://127.0.0.1:8000/v1", "gpt-4o-mini"),
        (None, "gpt-4o-mini"),
    ],
)
def test_what_nobody_published_is_unknown(provider: str | None, model: str) -> None:
    assert price(provider, model, USAGE, AT) is None


def test_tokens_that_contradict_each_other_have_no_price() -> None:
    odd = Usage(input_tokens=1, output_tokens=1, cached_tokens=5)

    assert price("openai", "gpt-4o-mini", odd, AT) is None


def test_rates_that_are_kept_say_the_same_as_the_price_lists() -> None:
    usages = [
        Usage(
            input_tokens=plain + cached + written,
            output_tokens=output,
            cached_tokens=cached,
            cache_write_tokens=written,
        )
        for plain, output, cached, written in (
            (0, 0, 0, 0),
            (1, 1, 1, 1),
            (1_203, 87, 0, 0),
            (7, 0, 999_983, 0),
            (250_001, 3, 17, 500_009),
        )
    ]
    kept = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            kept += _rates(provider.id, model.id) is not None
            for usage in usages:
                found = _calculated(provider.id, model.id, usage, AT)
                expected = None if found is None else float(found.total_price)
                assert price(provider.id, model.id, usage, AT) == expected, (model.id, usage)
    assert kept > 100


def test_a_price_that_depends_on_the_length_is_not_kept() -> None:
    assert _rates("google", "gemini-2.5-pro") is None
    low = price("google", "gemini-2.5-pro", Usage(input_tokens=100_000), AT)
    high = price("google", "gemini-2.5-pro", Usage(input_tokens=400_000), AT)
    assert low is not None
    assert high is not None
    assert high == pytest.approx(low * 8)


def test_the_builtin_model_is_free() -> None:
    assert price("builtin", "extractive", USAGE, AT) == 0.0


def test_ones_own_prices_go_first() -> None:
    overrides = {
        "openai/gpt-4o-mini": Price(input=1, output=1),
        "llama": Price(input=0, output=0),
        "mine/qwen": Price(input=2, output=4, cached=1, cache_write=3),
    }

    assert price("openai", "gpt-4o-mini", USAGE, AT, overrides=overrides) == pytest.approx(1.1)
    assert price(None, "llama", USAGE, AT, overrides=overrides) == 0.0
    written = Usage(
        input_tokens=3_000_000,
        output_tokens=1_000_000,
        cached_tokens=1_000_000,
        cache_write_tokens=1_000_000,
    )
    cost = price(None, "qwen", written, AT, overrides=overrides, names=("mine",))
    assert cost == pytest.approx(2 + 1 + 3 + 4)
