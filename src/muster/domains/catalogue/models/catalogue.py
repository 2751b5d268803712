"""How a model's name becomes something that can be called."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.models import (
    FAMILIES,
    ChatModel,
    Price,
    PriceTable,
    ProviderConfig,
    build,
    published_price,
)
from muster.adapters.models.extractive import PROVIDER as BUILTIN
from muster.domains.catalogue.models.errors import ModelDisabled, ModelNotReady
from muster.domains.catalogue.models.listings import FRESH_S, PAUSE_S, Listings
from muster.domains.catalogue.models.models import Model
from muster.domains.catalogue.models.naming import Named, Names
from muster.domains.catalogue.models.providers import BUILTIN_MODEL, Environment, RuntimeProfile
from muster.domains.catalogue.models.readiness import config_of, lacks
from muster.domains.catalogue.models.repository import VERSION, ModelRepository, by_reference
from muster.kernel.cached import CachedByProject
from muster.kernel.db import Database
from muster.kernel.egress import Egress
from muster.kernel.errors import AppError, Conflict, NotFound
from muster.platform.vault import Vault, usable_secrets

_KEPT_CHATS = 512
_KEPT_PRICES = 2_048
_FREE = Price(input=0, output=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallableModel:
    """A model that can be called now. `settings` are those of the model, for requests to build on.

    `name` is the project's name of the model, or `provider/model` for one of the environment.
    `price` is for estimates, None where nobody knows it. A model `is_shared` when it is the
    operator's for all projects, and `is_local` when nobody else is asked. `resource_ids` are all by
    which access rules can name it.
    """

    name: str
    provider: str
    chat: ChatModel
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    context_window: int | None = None
    price: Price | None = None
    is_shared: bool = False
    is_local: bool = False
    resource_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _OwnPrice(Mapping[str, Price]):
    """The price of a project's model, under whatever name the provider answers."""

    price: Price

    def __getitem__(self, key: str) -> Price:
        return self.price

    def __iter__(self) -> Iterator[str]:
        return iter(("*",))

    def __len__(self) -> int:
        return 1

    def __contains__(self, key: object) -> bool:
        return True


class ModelCatalogue:
    """Finds models by name, for every project; one for the process.

    Args:
        database: Where the projects' models are.
        egress: Makes the HTTP clients; addresses given by users go through its guard.
        vault: Opens the keys that models name.
        environment: The providers of the operator.
    """

    def __init__(
        self, database: Database, egress: Egress, vault: Vault, environment: Environment
    ) -> None:
        self._database, self._vault = database, vault
        self.environment = environment
        self._clients = {trusted: egress.client(trusted=trusted) for trusted in (True, False)}
        self.names = Names(environment, Listings(self._client_of))
        self._own = CachedByProject(database, version=VERSION, load=_own_models)
        self._chat = lru_cache(maxsize=_KEPT_CHATS)(self._build)

    @cached_property
    def _builtin(self) -> ChatModel:
        # Many expressions to compile, which a start does not wait for.
        from muster.adapters.models.extractive.model import ExtractiveModel

        return ExtractiveModel()

    @property
    def profile(self) -> RuntimeProfile:
        """Whether cloud providers may be called."""
        return self.environment.profile

    async def resolve(self, project_id: str, reference: str) -> CallableModel:
        """Return the model that a reference means in a project, ready to be called.

        Args:
            project_id: The project whose own models go first.
            reference: Name or id of a model of the project, `builtin/extractive`,
                `provider/model`, `provider:model`, or a name that a provider lists.

        Raises:
            ModelUnknown: It means nothing; the text says what is at hand.
            ModelDisabled: The project disabled the model.
            ModelNotReady: The model lacks a key or an address.
            OfflineProviderBlocked: The runtime profile refuses its provider.
        """
        own = (await self._own.get(project_id)).get(reference)
        if own is not None:
            return await self._call_own(own)
        return await self._call_named(await self.names.find(reference, max_age_s=PAUSE_S))

    async def resource_ids(self, project_id: str, reference: str) -> frozenset[str]:
        """Return all by which access rules can name what a reference means; itself, if nothing."""
        own = (await self._own.get(project_id)).get(reference)
        if own is not None:
            return _resource_ids(own)
        try:
            return frozenset({(await self.names.find(reference, max_age_s=PAUSE_S)).name})
        except AppError:
            return frozenset({reference})

    async def problem(self, project_id: str, reference: str) -> str | None:
        """Return why `resolve` would refuse a reference, or None."""
        return (await self.problems(project_id, [reference]))[reference]

    async def problems(self, project_id: str, references: Collection[str]) -> dict[str, str | None]:
        """Return for each reference why `resolve` would refuse it, or None.

        Providers are asked, for a few seconds at most, only when their last listing is older than
        a minute and does not have the name.
        """
        known = await self._own.get(project_id)
        own = {reference: known[reference] for reference in references if reference in known}
        secrets = set[str]()
        if keys := {row.api_key_name for row in own.values() if row.api_key_name}:
            async with self._database.read() as session:
                secrets = await usable_secrets(session, project_id, keys)
        found: dict[str, str | None] = {}
        for reference in references:
            try:
                if (row := own.get(reference)) is not None:
                    self._require_ready(row, secrets)
                else:
                    await self.names.find(reference, max_age_s=FRESH_S)
                found[reference] = None
            except AppError as error:
                found[reference] = error.detail
        return found

    def _require_ready(self, row: Model, secrets: Collection[str]) -> None:
        if not row.enabled:
            raise ModelDisabled(
                f"The model {row.name!r} is disabled in this project. Enable it, or choose another."
            )
        for problem in lacks(row, self.environment, secrets):
            raise problem

    async def _call_own(self, row: Model) -> CallableModel:
        secrets = {row.api_key_name} if row.api_key_name else set[str]()
        self._require_ready(row, secrets)
        config = config_of(row, self.environment, await self._key_of(row))
        price = None
        if row.input_price is not None and row.output_price is not None:
            price = Price(input=row.input_price, output=row.output_price, cached=row.cached_price)
        settings = dict(row.parameters)
        if row.max_output_tokens is not None:
            settings.setdefault("max_tokens", row.max_output_tokens)
        return CallableModel(
            name=row.name,
            provider=row.provider,
            chat=self._builtin if config is None else self._chat(config, row.model, price),
            settings=settings,
            context_window=row.context_window,
            price=price or await _price_of(config, row.model),
            is_local=config is None,
            resource_ids=_resource_ids(row),
        )

    async def _key_of(self, row: Model) -> str | None:
        if row.api_key_name is None:
            return None
        try:
            return await self._vault.value(row.project_id, row.api_key_name)
        except (NotFound, Conflict) as error:
            raise ModelNotReady(
                f"The model {row.name!r} names the API key {row.api_key_name!r}: {error.detail}"
            ) from error

    async def _call_named(self, named: Named) -> CallableModel:
        if named.config is None:
            return CallableModel(
                name=BUILTIN_MODEL,
                provider=BUILTIN,
                chat=self._builtin,
                price=_FREE,
                is_shared=True,
                is_local=True,
                resource_ids=frozenset({BUILTIN_MODEL}),
            )
        return CallableModel(
            name=named.name,
            provider=named.config.name,
            chat=self._chat(named.config, named.model, None),
            price=await _price_of(named.config, named.model),
            is_shared=True,
            resource_ids=frozenset({named.name}),
        )

    def _build(self, config: ProviderConfig, model: str, price: Price | None) -> ChatModel:
        prices: PriceTable | None = _OwnPrice(price) if price else None
        return build(config, model, client=self._client_of(config), prices=prices)

    def _client_of(self, config: ProviderConfig) -> Any:
        return self._clients[config.trusted]


def _resource_ids(row: Model) -> frozenset[str]:
    """Return what a project cannot change about a model of its own.

    Not its name; and at an address of its own anything may answer to a provider's name.
    """
    if row.provider == BUILTIN:
        return frozenset({row.id, BUILTIN_MODEL})
    return frozenset({row.id} if row.base_url else {row.id, f"{row.provider}/{row.model}"})


async def _own_models(session: AsyncSession, project_id: str) -> dict[str, Model]:
    return by_reference(await ModelRepository(session, project_id).all())


_priced: dict[tuple[str | None, str], Price | None] = {}


async def _price_of(config: ProviderConfig | None, model: str) -> Price | None:
    if config is None:
        return _FREE
    key = FAMILIES[config.family].priced_as(config), model
    if key not in _priced:
        if len(_priced) >= _KEPT_PRICES:
            _priced.clear()
        # The price lists are large: the first look at them would hold everything up.
        _priced[key] = await asyncio.to_thread(published_price, *key)
    return _priced[key]
