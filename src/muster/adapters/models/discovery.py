"""Asks a provider which models it serves."""

import asyncio
from typing import Any, Protocol, cast

from muster.adapters.models import failures
from muster.adapters.models.base import ModelFailed
from muster.adapters.models.families import family_of
from muster.adapters.models.family import Family, ProviderConfig

_TIMEOUT_SECONDS = 15.0
_MOST_PAGES = 20
_OK = 200


class HttpClient(Protocol):
    """The part of the guarded HTTP client that is needed here."""

    async def get(
        self,
        url: str,
        *,
        headers: dict[str, str],
        params: dict[str, Any],
        timeout: float,  # noqa: ASYNC109 - the name that the client gives it
    ) -> Any: ...


async def list_models(
    config: ProviderConfig, client: HttpClient, *, timeout_s: float = _TIMEOUT_SECONDS
) -> list[str]:
    """Return the names of the models the provider lists, sorted.

    Raises `ModelFailed` or `ModelTimeout` where it does not answer.

    Args:
        config: The provider.
        client: The guarded HTTP client.
        timeout_s: For the whole list.
    """
    family = family_of(config)
    endpoint = family.endpoint(config)
    try:
        async with asyncio.timeout(timeout_s):
            return sorted(await _names(family, config, client, timeout_s))
    except TimeoutError as error:
        raise failures.timeout_failure(endpoint, timeout_s) from error
    except ModelFailed:
        raise
    except Exception as error:
        raise failures.unanswered(endpoint, error, timeout_s) or failures.unreadable_answer(
            endpoint
        ) from error


async def _names(
    family: Family, config: ProviderConfig, client: HttpClient, timeout_s: float
) -> set[str]:
    url, headers, query = family.models_request(config)
    names: set[str] = set()
    for _ in range(_MOST_PAGES):
        answer = await client.get(url, headers=headers, params=query, timeout=timeout_s)
        if answer.status_code != _OK:
            raise failures.http_failure(
                family.endpoint(config), answer.status_code, body=answer.content
            )
        page = cast("dict[str, Any]", answer.json())
        names.update(family.model_names(page))
        following = family.next_page(page)
        if following is None:
            break
        query = following
    return names
