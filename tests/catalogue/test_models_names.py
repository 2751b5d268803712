"""What a name means: the order of look-up, listings, profiles, and the text of refusals."""

import time
from typing import Any

import pytest
from pydantic import SecretStr

from muster.adapters.models import ProviderConfig
from muster.domains.catalogue.models import (
    Environment,
    ModelCatalogue,
    ModelDisabled,
    ModelNotReady,
    ModelUnknown,
    OfflineProviderBlocked,
    providers_from_environment,
)
from muster.domains.catalogue.models.listings import FRESH_S, PAUSE_S, Listings
from muster.domains.catalogue.models.naming import Names
from muster.domains.catalogue.models.providers import Provider, is_local
from muster.entrypoints.assembly import Muster
from muster.kernel.egress import Egress, EgressPolicy
from muster.kernel.settings import Providers, UnsafeSettings
from tests.catalogue.models_setting import (
    bare_environment,
    made,
    server,
    settings,
    stored_key,
)
from tests.support.model_server import Reply, ScriptedServer, model_server
from tests.support.people import People

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment", "server", "settings"]


def listing(muster: Muster) -> Any:
    names: Any = muster.models.names
    return names._listings.at_hand(muster.models.environment.providers["openai"])


async def test_every_way_to_name_a_model(people: People, muster: Muster) -> None:
    own = await made(people, name="own", context_window=1000, max_output_tokens=50)

    async def meant(reference: str) -> tuple[str, str]:
        model = await muster.models.resolve(people.project_id, reference)
        return model.name, model.provider

    assert await meant("own") == ("own", "openai")
    assert await meant(own["id"]) == ("own", "openai")
    assert await meant("builtin/extractive") == ("builtin/extractive", "builtin")
    assert await meant("openai/anything/at:all") == ("openai/anything/at:all", "openai")
    assert await meant("openai:scripted-small") == ("openai/scripted-small", "openai")
    assert await meant("OpenAI/scripted-small") == ("openai/scripted-small", "openai")
    assert await meant("scripted-large") == ("openai/scripted-large", "openai")
    assert await meant("gpt-4o-mini") == ("openai/gpt-4o-mini", "openai")
    assert await meant("o3") == ("openai/o3", "openai")
    model = await muster.models.resolve(people.project_id, "own")
    assert (model.context_window, model.settings) == (1000, {"max_tokens": 50})


async def test_models_of_the_project_go_first_and_stay_there(
    people: People, muster: Muster
) -> None:
    await made(people, name="scripted-large", model="other")

    inside = await muster.models.resolve(people.project_id, "scripted-large")
    outside = await muster.models.resolve(people.other_project_id, "scripted-large")

    assert (inside.name, outside.name) == ("scripted-large", "openai/scripted-large")


async def test_the_same_model_is_built_once(people: People, muster: Muster) -> None:
    first = await muster.models.resolve(people.project_id, "openai/x")
    second = await muster.models.resolve(people.other_project_id, "openai/x")
    other = await muster.models.resolve(people.project_id, "openai/y")

    assert first.chat is second.chat
    assert first.chat is not other.chat


async def test_an_unknown_name_is_told_what_is_at_hand(people: People, muster: Muster) -> None:
    with pytest.raises(ModelUnknown) as caught:
        await muster.models.resolve(people.project_id, "anthropic/claude-x")

    text = caught.value.detail
    assert "'anthropic/claude-x'" in text
    assert "The provider anthropic is not set up." in text
    assert "builtin/extractive, openai/scripted-large, openai/scripted-small" in text
    assert caught.value.details["available"][0] == "builtin/extractive"


async def test_a_long_list_is_cut(bare_environment: None) -> None:
    async with model_server() as one:
        wire: Any = one.wire
        wire.names = tuple(f"model-{number:02}" for number in range(30))
        config = ProviderConfig(family="openai", name="openai", base_url=one.base_url, trusted=True)
        egress = Egress(EgressPolicy())
        names = Names(Environment([config]), Listings(lambda _: egress.client(trusted=True)))
        with pytest.raises(ModelUnknown, match="openai/model-18 and 11 more"):
            await names.find("nobody")
        await egress.aclose()


async def test_listings_are_asked_for_once_and_again_on_a_miss(
    people: People, muster: Muster, server: ScriptedServer
) -> None:
    async def resolve(name: str) -> str:
        return (await muster.models.resolve(people.project_id, name)).name

    assert await resolve("scripted-large") == "openai/scripted-large"
    assert await resolve("scripted-small") == "openai/scripted-small"
    assert len(server.model_list_headers) == 1
    wire: Any = server.wire
    wire.names = ("brand-new",)
    with pytest.raises(ModelUnknown):
        await resolve("brand-new")  # asked a moment ago
    assert len(server.model_list_headers) == 1

    known = listing(muster)
    known.answered_at = known.asked_at = time.monotonic() - PAUSE_S - 1
    assert await resolve("brand-new") == "openai/brand-new"
    assert len(server.model_list_headers) == 2


async def test_problems_ask_nobody_while_a_listing_is_at_hand(
    people: People, muster: Muster, server: ScriptedServer
) -> None:
    await made(people, name="off", enabled=False)
    await made(people, name="keyless", api_key_name="missing")
    await made(people, name="fine")
    catalogue = muster.models

    problems = await catalogue.problems(
        people.project_id, ["off", "keyless", "fine", "scripted-large", "nobody"]
    )
    assert problems["fine"] is problems["scripted-large"] is None
    assert "disabled" in (problems["off"] or "")
    assert "'missing'" in (problems["keyless"] or "")
    assert "At hand" in (problems["nobody"] or "")
    assert len(server.model_list_headers) == 1

    known = listing(muster)
    known.answered_at = known.asked_at = time.monotonic() - FRESH_S + 5
    assert await catalogue.problem(people.project_id, "nobody") is not None
    assert len(server.model_list_headers) == 1
    known.answered_at = known.asked_at = time.monotonic() - FRESH_S - 5
    assert await catalogue.problem(people.project_id, "scripted-large") is None
    assert len(server.model_list_headers) == 1
    assert await catalogue.problem(people.project_id, "nobody") is not None
    assert len(server.model_list_headers) == 2


async def test_names_stay_known_while_the_provider_is_silent(
    people: People, muster: Muster, server: ScriptedServer
) -> None:
    await muster.models.resolve(people.project_id, "scripted-large")
    server.model_list_reply = Reply(status=500)
    known = listing(muster)
    known.answered_at = known.asked_at = -1e9

    again = await muster.models.resolve(people.project_id, "scripted-small")
    with pytest.raises(ModelUnknown, match="Not heard from: openai"):
        await muster.models.resolve(people.project_id, "nobody")

    assert again.name == "openai/scripted-small"


async def test_the_only_provider_that_cannot_list_is_given_any_name(
    people: People, muster: Muster, server: ScriptedServer
) -> None:
    server.model_list_reply = Reply(garbage="<html>")

    model = await muster.models.resolve(people.project_id, "house-model")

    assert model.name == "openai/house-model"


async def test_a_key_that_is_gone_is_told_at_the_call(people: People, muster: Muster) -> None:
    await stored_key(people)
    await made(people, api_key_name="openai_api_key")
    assert (await muster.models.resolve(people.project_id, "own")).name == "own"

    await people.editor.delete("/api-keys/openai_api_key")

    with pytest.raises(ModelNotReady, match="openai_api_key"):
        await muster.models.resolve(people.project_id, "own")
    await people.editor.put("/models/own", json={"enabled": False})
    with pytest.raises(ModelDisabled):
        await muster.models.resolve(people.project_id, "own")


async def test_the_offline_profile_refuses_the_cloud(people: People, muster: Muster) -> None:
    cloud = ProviderConfig(family="anthropic", name="anthropic", api_key="k")
    local = muster.models.environment.providers["openai"]
    assert muster.models.profile == "offline"

    for environment in (Environment([cloud, local], "offline"), Environment([cloud, local])):
        catalogue = ModelCatalogue(muster.database, muster.egress, muster.vault, environment)
        assert (await catalogue.resolve(people.project_id, "scripted-large")).provider == "openai"
        for reference in ("anthropic/claude-x", "claude-x"):
            problem = await catalogue.problem(people.project_id, reference)
            if catalogue.profile == "online":
                assert problem is None
                continue
            assert "MUSTER_RUNTIME_PROFILE=online" in (problem or "")
            with pytest.raises(OfflineProviderBlocked):
                await catalogue.resolve(people.project_id, reference)


@pytest.mark.parametrize(
    ("family", "address", "local"),
    [
        ("openai", None, False),
        ("ollama", None, True),
        ("openai", "http://localhost:1234/v1", True),
        ("openai", "http://192.168.0.7/v1", True),
        ("openai", "http://[::1]/v1", True),
        ("openai", "http://ollama:11434", True),
        ("openai", "http://models.office.internal/v1", True),
        ("openai", "https://8.8.8.8/v1", False),
        ("ollama", "https://ollama.example.com", False),
        ("anthropic", None, False),
    ],
)
def test_which_addresses_are_local(family: str, address: str | None, local: bool) -> None:
    config = ProviderConfig(family=family, name=family, base_url=address)

    assert is_local(config) is local


def test_every_provider_of_the_environment(bare_environment: None) -> None:
    key = SecretStr("k")
    everything = Providers(
        openai_api_key=key,
        anthropic_api_key=key,
        gemini_api_key=key,
        gemini_base_url="http://127.0.0.1:1",
        mistral_api_key=key,
        deepseek_api_key=key,
        groq_api_key=key,
        ollama_base_url=" http://127.0.0.1:11434 ",
    )

    found = {config.name: config for config in providers_from_environment(everything)}

    assert list(found) == [
        "openai",
        "anthropic",
        "google",
        "mistral",
        "deepseek",
        "groq",
        "ollama",
    ]
    assert [name for name, config in found.items() if config.trusted] == ["google", "ollama"]
    assert found["ollama"].base_url == "http://127.0.0.1:11434"
    environment = Environment(list(found.values()))
    assert environment.profile == "online"
    assert environment.find(Provider.GEMINI) is found["google"]
    assert environment.find(Provider.VLLM) is None
    assert providers_from_environment(Providers(openai_api_key=SecretStr(" "))) == []


@pytest.mark.parametrize("address", ["localhost:1234", "ftp://x", "http://", "http://[x"])
def test_an_address_of_the_environment_that_is_none_stops_the_start(
    bare_environment: None, address: str
) -> None:
    with pytest.raises(UnsafeSettings, match="MISTRAL_BASE_URL"):
        providers_from_environment(Providers(mistral_base_url=address))
