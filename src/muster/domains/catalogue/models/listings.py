"""What the providers of the environment say they serve, remembered for a while."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from muster.adapters.models import ModelFailed, ModelTimeout, ProviderConfig, list_models
from muster.adapters.models.discovery import HttpClient

FRESH_S = 60.0
"""How long a listing is taken as it is."""
PAUSE_S = 3.0
"""The least time between two questions to one provider."""
_PATIENCE_S = 3.0


@dataclass(slots=True)
class Listing:
    """The names that a provider listed last; None before it has ever answered."""

    names: tuple[str, ...] | None = None
    answered_at: float = -math.inf
    asked_at: float = -math.inf
    failure: str | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_due(self, max_age_s: float) -> bool:
        """Tell whether to ask again, for someone who wants it no older than this."""
        now = time.monotonic()
        return now - self.answered_at > max_age_s and now - self.asked_at > PAUSE_S

    async def refresh(self, config: ProviderConfig, client: HttpClient, max_age_s: float) -> None:
        """Ask the provider; those who come meanwhile wait for the same answer."""
        async with self._lock:
            if not self.is_due(max_age_s):
                return
            try:
                names = await list_models(config, client, timeout_s=_PATIENCE_S)
            except (ModelFailed, ModelTimeout) as error:
                self.failure = error.detail
            else:
                self.names, self.failure = tuple(names), None
                self.answered_at = time.monotonic()
            self.asked_at = time.monotonic()


class Listings:
    """The listings of several providers.

    Args:
        client_of: Returns the HTTP client for a provider.
    """

    def __init__(self, client_of: Callable[[ProviderConfig], HttpClient]) -> None:
        self._client_of = client_of
        self._listings: dict[ProviderConfig, Listing] = {}

    def at_hand(self, config: ProviderConfig) -> Listing:
        """Return what is known of a provider, without asking it."""
        return self._listings.setdefault(config, Listing())

    async def ask(self, configs: Iterable[ProviderConfig], *, max_age_s: float = FRESH_S) -> None:
        """Ask those providers, all at once, of whom nothing is known that is young enough."""
        await asyncio.gather(
            *(
                listing.refresh(config, self._client_of(config), max_age_s)
                for config in configs
                if (listing := self.at_hand(config)).is_due(max_age_s)
            )
        )
