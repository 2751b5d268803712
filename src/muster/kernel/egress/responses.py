"""What an address answered: read to its end, or as a stream."""

import json as json_codec
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx2

from muster.kernel.egress.errors import EgressFailed
from muster.kernel.egress.failures import explained


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """An answer that was read to its end; any status, `url` is where redirects led to."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - the range that HTTP defines

    @property
    def media_type(self) -> str | None:
        """The content type in lower case without its parameters, such as `application/json`."""
        return _media_type(self.headers)

    def text(self) -> str:
        """Return the body as text; bytes that are none become replacement characters."""
        _, _, parameters = self.headers.get("content-type", "").lower().partition(";")
        charset = parameters.partition("charset=")[2].partition(";")[0].strip(" \"'")
        try:
            return self.content.decode(charset or "utf-8", errors="replace")
        except (LookupError, UnicodeError):
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the body as JSON, or raise `EgressFailed`."""
        try:
            return json_codec.loads(self.content)
        except (ValueError, RecursionError):
            raise EgressFailed("The answer is not JSON. Check that the address is right.") from None


class EgressStream:
    """An answer whose body is read piece by piece: iterate over it, once."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.url)

    @property
    def media_type(self) -> str | None:
        return _media_type(self.headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._response.aiter_bytes()) as chunks:
            while True:
                with explained():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk


def _media_type(headers: Mapping[str, str]) -> str | None:
    return headers.get("content-type", "").partition(";")[0].strip().lower() or None
