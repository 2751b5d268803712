"""What the tests of models share: a scripted provider in the environment, and short words."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from muster.kernel.settings import Providers, Settings
from tests.support.model_server import ScriptedServer, model_server
from tests.support.people import People

OPERATOR_KEY = "sk-operator-0123456789abcdef"


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any provider."""
    for name in Providers.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def server(
    bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScriptedServer]:
    """A scripted server that the operator set up as the provider `openai`."""
    async with model_server() as running:
        monkeypatch.setenv("OPENAI_API_KEY", OPERATOR_KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def settings(settings: Settings, server: ScriptedServer) -> Settings:
    """Settings of an application that starts after the server."""
    return settings


async def made(people: People, **fields: Any) -> dict[str, Any]:
    """Set up a model in the project."""
    body = {"name": "own", "provider": "openai", "model": "scripted-small"} | fields
    response = await people.editor.post("/models", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def stored_key(people: People, name: str = "openai_api_key", key: str = "sk-project") -> None:
    """Store a key in the vault of the project."""
    response = await people.editor.post("/api-keys", json={"name": name, "key": key})
    assert response.status_code == 201, response.text
