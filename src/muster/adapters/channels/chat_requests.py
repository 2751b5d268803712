"""What stands in the place of the `requests` library within the plugins of the chat library.

The plugins post by themselves, which would pass by the guard. Each allowed plugin's module is given
this object under the name `requests`: whatever it sends is prepared as `requests` would, and is
then sent by the guarded client in the event loop. In a thread that nobody gave a line to, nothing
can be sent at all.
"""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

from muster.adapters.channels.answers import EGRESS_ERRORS, explained, judge
from muster.adapters.channels.errors import ChannelError, SendFailed
from muster.kernel.egress import Egress

_MAX_BYTES = 256 * 1024
_OFFERED = frozenset({"codes", "exceptions", "RequestException", "TooManyRedirects", "Response"})
_OURS = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
_NO_LINE = "nothing can be sent from here"


@dataclass(slots=True)
class Line:
    """The way out of one message: the guarded client, in the loop that waits for the thread."""

    egress: Egress
    loop: asyncio.AbstractEventLoop
    timeout_s: float
    now: datetime
    is_open: bool = True
    sent: int = 0
    problems: list[ChannelError] = field(default_factory=list[ChannelError])


line_of_thread: ContextVar[Line | None] = ContextVar("chat_line", default=None)


class Requests:
    """Looks like the `requests` module to a plugin, as far as plugins look.

    Args:
        library: The module itself: it prepares what is sent, and sends nothing.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name not in _OFFERED:
            raise AttributeError(name)
        return getattr(self._library, name)

    def get(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Any:
        return self.request("PUT", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        auth: Any = None,
        **unheeded: Any,
    ) -> Any:
        """Send a request by the guarded client and wait for the answer.

        Certificates are always verified and redirects never followed, whatever `unheeded` says.
        """
        del unheeded
        line = line_of_thread.get()
        if line is None or not line.is_open:
            raise self._library.RequestException(_NO_LINE)
        prepared = self._library.Request(
            method, url, headers=headers, params=params, data=data, json=json, auth=auth
        ).prepare()
        try:
            answer = asyncio.run_coroutine_threadsafe(
                line.egress.request(
                    method,
                    prepared.url,
                    headers={k: v for k, v in prepared.headers.items() if k.lower() not in _OURS},
                    content=prepared.body,
                    timeout_s=line.timeout_s,
                    max_bytes=_MAX_BYTES,
                    follow_redirects=False,
                ),
                line.loop,
            ).result(line.timeout_s + 1)
        except EGRESS_ERRORS as error:
            line.problems.append(explained(error))
            raise self._library.RequestException("not sent") from None
        except TimeoutError:
            line.problems.append(SendFailed("The chat service did not answer in time."))
            raise self._library.RequestException("not sent") from None
        line.sent += 1
        try:
            judge(answer.status, answer.headers, line.now)
        except ChannelError as problem:
            line.problems.append(problem)
        return self._response(prepared, answer.status, answer.headers, answer.content)

    def _response(
        self, prepared: Any, status: int, headers: Mapping[str, str], content: bytes
    ) -> Any:
        response = self._library.Response()
        response.status_code = status
        response.headers.update(headers)
        response.raw = BytesIO(content)
        response.url, response.request = prepared.url, prepared
        return response
