"""How a name that is not one of the project's own finds its provider in the environment."""

import re
from dataclasses import dataclass

from muster.adapters.models import ProviderConfig
from muster.domains.catalogue.models.errors import ModelUnknown
from muster.domains.catalogue.models.listings import FRESH_S, Listings
from muster.domains.catalogue.models.providers import BUILTIN_MODEL, Environment, Provider
from muster.domains.catalogue.models.readiness import blocked

_SHOWN = 20
_QUALIFIED = re.compile(r"(?P<provider>[A-Za-z_]+)[/:](?P<model>.+)")
_WELL_KNOWN: list[tuple[re.Pattern[str], tuple[Provider, ...]]] = [
    (re.compile(pattern, re.IGNORECASE), providers)
    for pattern, providers in (
        (r"gpt-|chatgpt-|o\d", (Provider.OPENAI,)),
        (r"claude-", (Provider.ANTHROPIC,)),
        (r"gemini-", (Provider.GOOGLE,)),
        (r"(open-)?mi[sx]tral-|ministral-|codestral-|magistral-|pixtral-", (Provider.MISTRAL,)),
        (r"deepseek-", (Provider.DEEPSEEK,)),
        (r"llama", (Provider.GROQ, Provider.OLLAMA)),
    )
]


@dataclass(frozen=True, slots=True)
class Named:
    """A model of the environment. `config` is None for the built-in one."""

    config: ProviderConfig | None
    model: str

    @property
    def name(self) -> str:
        return f"{self.config.name}/{self.model}" if self.config else BUILTIN_MODEL


class Names:
    """Finds models of the environment by name."""

    def __init__(self, environment: Environment, listings: Listings) -> None:
        self.environment, self._listings = environment, listings

    async def all(self) -> list[Named]:
        """Return every model that can be told by name, the built-in one first."""
        await self._listings.ask(self.environment.usable)
        return [Named(None, BUILTIN_MODEL), *self._listed()]

    async def find(self, reference: str, *, max_age_s: float = FRESH_S) -> Named:
        """Return what a reference means.

        Args:
            reference: `provider/model`, `provider:model`, or the bare name of a model.
            max_age_s: How old a listing without the name may be before its provider is asked
                again.

        Raises:
            ModelUnknown: It means nothing here; the text says what is at hand.
            OfflineProviderBlocked: Its provider is in the cloud.
        """
        if (named := self.known(reference)) is not None:
            return self._allowed(named, reference)
        await self._listings.ask(self.environment.usable, max_age_s=max_age_s)
        named = (
            self._find_listed(reference) or self._well_known(reference) or self._silent(reference)
        )
        if named is None:
            raise self._unknown(reference)
        return self._allowed(named, reference)

    async def find_listed(self, reference: str) -> Named | None:
        """Return a model that is known to be there, by its full or bare name."""
        for named in await self.all():
            if reference in {named.name, named.model}:
                return named
        return None

    def known(self, reference: str) -> Named | None:
        """Return what a reference means as far as that can be told without asking anyone."""
        if reference == BUILTIN_MODEL:
            return Named(None, BUILTIN_MODEL)
        return self._qualified(reference) or self._find_listed(reference)

    def _qualified(self, reference: str) -> Named | None:
        match = _QUALIFIED.fullmatch(reference)
        provider = Provider.named(match["provider"]) if match else None
        config = self.environment.find(provider) if provider else None
        return Named(config, match["model"]) if match and config else None

    def _well_known(self, reference: str) -> Named | None:
        for pattern, providers in _WELL_KNOWN:
            if pattern.match(reference):
                for provider in providers:
                    if (config := self.environment.find(provider)) is not None:
                        return Named(config, reference)
        return None

    def _silent(self, reference: str) -> Named | None:
        """Give the only provider that could not tell its models the benefit of the doubt."""
        silent = [
            config
            for config in self.environment.usable
            if self._listings.at_hand(config).names is None
        ]
        return Named(silent[0], reference) if len(silent) == 1 else None

    def _listed(self) -> list[Named]:
        return [
            Named(config, model)
            for config in self.environment.usable
            for model in self._listings.at_hand(config).names or ()
        ]

    def _find_listed(self, reference: str) -> Named | None:
        return next((named for named in self._listed() if named.model == reference), None)

    def _allowed(self, named: Named, reference: str) -> Named:
        if named.config is not None and self.environment.blocks(named.config):
            raise blocked(reference)
        return named

    def _unknown(self, reference: str) -> ModelUnknown:
        names = [BUILTIN_MODEL, *(named.name for named in self._listed())]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        silent = [
            config.name
            for config in self.environment.usable
            if self._listings.at_hand(config).failure is not None
        ]
        unheard = f" Not heard from: {', '.join(silent)}." if silent else ""
        match = _QUALIFIED.fullmatch(reference)
        provider = Provider.named(match["provider"]) if match else None
        absent = f" The provider {provider} is not set up." if provider else ""
        return ModelUnknown(
            f"No model is called {reference[:200]!r}.{absent} At hand: "
            f"{', '.join(names[:_SHOWN])}{more}.{unheard} Choose one of these, add one with "
            "POST /models, or set up its provider from the environment.",
            details={"model": reference[:200], "available": names[:_SHOWN]},
        )
