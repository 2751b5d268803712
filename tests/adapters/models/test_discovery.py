"""The list of models that a provider serves."""

import pytest

from muster.adapters.models import ModelFailed, ModelTimeout, ProviderConfig, list_models
from muster.kernel.egress import Egress, EgressPolicy
from tests.adapters.models.support import KEY, asked
from tests.support.model_server import Reply

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=401), "Check the API key"),
        (Reply(status=500), "failed on its side"),
        (Reply(garbage="not a list"), "not one of its API"),
    ],
)
async def test_says_why_there_is_no_list(reply: Reply, words: str) -> None:
    async with asked([Reply(text="unused")]) as it:
        it.server.model_list_reply = reply
        with pytest.raises(ModelFailed) as failed:
            await list_models(it.config, it.client)

        assert words in failed.value.detail
        assert KEY not in failed.value.detail


async def test_does_not_wait_for_ever() -> None:
    async with asked([Reply(text="unused")]) as it:
        it.server.model_list_reply = Reply(hang=True)
        with pytest.raises(ModelTimeout):
            await list_models(it.config, it.client, timeout_s=0.2)


async def test_says_when_nobody_is_there() -> None:
    egress = Egress(EgressPolicy())
    config = ProviderConfig(family="ollama", name="Mine", base_url="http://127.0.0.1:9")
    with pytest.raises(ModelFailed, match="Mine cannot be reached at 127"):
        await list_models(config, egress.client(trusted=True))
    with pytest.raises(ModelFailed, match="loopback"):
        await list_models(config, egress.client())
    await egress.aclose()


async def test_a_server_without_keys_gets_none() -> None:
    async with asked([Reply(text="unused")]) as it:
        open_server = ProviderConfig(family="openai", name="Open", base_url=it.server.base_url)
        names = await list_models(open_server, it.client)

        assert names == ["scripted-large", "scripted-small"]
        assert "authorization" not in it.server.model_list_headers[0]
