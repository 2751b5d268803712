"""The OpenAI library as it is used here: our HTTP client, nothing from the environment."""

from typing import Any

from openai import AsyncOpenAI, AsyncStream, NotGiven, Omit, not_given
from openai._base_client import make_request_options
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk


def openai_sdk(*, api_key: str, base_url: str, client: Any) -> AsyncOpenAI:
    """Return the library's client, which neither retries nor adds what its environment says."""
    sdk = AsyncOpenAI(api_key=api_key, base_url=base_url, http_client=client, max_retries=0)
    sdk.organization = sdk.project = sdk.admin_api_key = None
    sdk._custom_headers = {}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    sdk.chat.completions = _PlainCompletions(sdk)  # type: ignore[assignment]
    return sdk


class _PlainCompletions(AsyncCompletions):
    """Sends the request as it was given.

    The library would first walk through all of it, guided by type hints, looking for files and
    renamed fields. Chat completions have none, and the walk is a quarter of what a call costs.
    """

    async def create(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        *,
        stream: bool = False,
        extra_headers: dict[str, str] | None = None,
        extra_body: object = None,
        timeout: Any = not_given,  # noqa: ASYNC109 - the name that the library gives it
        **fields: Any,
    ) -> Any:
        given = {k: v for k, v in fields.items() if not isinstance(v, Omit | NotGiven)}
        return await self._post(
            "/chat/completions",
            body=given | {"stream": stream},
            options=make_request_options(
                extra_headers=extra_headers,
                extra_body=extra_body,
                timeout=timeout,
                security={"bearer_auth": True},
            ),
            cast_to=ChatCompletion,
            stream=stream,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )
