"""The OpenAI library as it is used here: our HTTP client, nothing from the environment."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, cast

from openai import APIError, AsyncOpenAI, AsyncStream, NotGiven, Omit, not_given
from openai._base_client import make_request_options
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

_SECONDS_TO_END = 0.1


def openai_sdk(*, api_key: str, base_url: str, client: Any) -> AsyncOpenAI:
    """Return the library's client, which neither retries nor adds what its environment says."""
    sdk = AsyncOpenAI(api_key=api_key, base_url=base_url, http_client=client, max_retries=0)
    sdk.organization = sdk.project = sdk.admin_api_key = None
    sdk._custom_headers = {}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    # Else every call would tell what this machine and its Python are.
    sdk.platform_headers = dict
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
            stream_cls=_ChunkStream,
        )


class _ChunkStream(AsyncStream[ChatCompletionChunk]):
    """Reads the pieces of a streamed answer, quickly and to the end.

    The library builds each piece field by field, which for a long answer is most of what it costs,
    and leaves the end of the body unread, after which the connection cannot be used again.
    """

    async def __stream__(self) -> AsyncIterator[ChatCompletionChunk]:
        events = self._iter_events()
        try:
            async for event in events:
                if event.data.startswith("[DONE]"):
                    await _read_out(events)
                    break
                yield self._chunk(event.data)
        finally:
            await self.response.aclose()

    def _chunk(self, data: str) -> ChatCompletionChunk:
        with contextlib.suppress(ValidationError):
            chunk = ChatCompletionChunk.model_validate_json(data)
            if not (chunk.model_extra and chunk.model_extra.get("error")):
                return chunk
        parsed: Any = json.loads(data)
        fields = cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}
        if error := fields.get("error"):
            raise APIError("an error in the stream", request=self.response.request, body=error)
        # A server that takes the format less seriously: the library reads what can be read.
        return self._client._process_response_data(  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            data=cast("Any", parsed), cast_to=ChatCompletionChunk, response=self.response
        )


async def _read_out(events: AsyncIterator[Any]) -> None:
    # The answer is complete: whatever goes wrong after it is of no interest.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_SECONDS_TO_END):
            async for _ in events:
                pass
