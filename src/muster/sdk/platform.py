"""Calls of the platform: an answer, a refusal, or nobody there."""

import json
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

_BASE, _ALIVE = "/api/v1", "/health"
_AWAY = frozenset({408, 425, 429, 502, 503, 504})
_LONGEST_RETRY_AFTER = 300.0
_MOST_DETAIL = 500


class Away(Exception):
    """The platform did not answer, or asks to be left alone for a while."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Faulty(Away):
    """The platform answers this call with a fault of its own; others may do well."""


class Refused(Exception):
    """The platform has understood and says no: the same call will not do better."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code = status, code


class Platform:
    """One platform, from any thread.

    Args:
        url: Where it is, with or without `/api/v1`.
        key: API key of kind `agent`.
        timeout_s: Time limit of a call, in seconds.
    """

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("url must begin with http:// or https://")
        url = url.rstrip("/")
        self._url = url if url.endswith(_BASE) else url + _BASE
        self._key, self._timeout_s = key, timeout_s
        self._lock, self._client = Lock(), cast("httpx2.Client | None", None)

    def post(
        self, path: str, body: bytes, *, key: str | None = None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Send JSON and return the answer; raises `Away` or `Refused`.

        Args:
            path: Path below `/api/v1`.
            body: The JSON.
            key: Key with which the same call is answered once.
            timeout_s: Another time limit, in seconds.
        """
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        limit = self._timeout_s if timeout_s is None else timeout_s
        return _read(self._call("POST", path, limit, content=body, headers=headers))

    def ping(self, timeout_s: float) -> None:
        """Raise `Away` unless the platform answers that it lives, in seconds."""
        answer = self._call("GET", _ALIVE, timeout_s)
        if not answer.is_success:
            raise Away(f"the platform answers {answer.status_code}")

    def _call(self, method: str, path: str, limit: float, **more: Any) -> "httpx2.Response":
        try:
            return self._open().request(method, self._url + path, timeout=max(limit, 0.01), **more)
        except Exception as error:
            # Whatever it is, nothing was answered; not all of it is an error of the HTTP library.
            raise Away(f"{type(error).__name__}: {error}") from error

    def _open(self) -> "httpx2.Client":
        import httpx2

        with self._lock:
            if self._client is None:
                headers = {"authorization": f"Bearer {self._key}", "user-agent": "muster-sdk"}
                self._client = httpx2.Client(headers=headers)
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def forget(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self._lock, self._client = Lock(), None


def _read(answer: "httpx2.Response") -> dict[str, Any]:
    if answer.status_code in _AWAY:
        raise Away(f"the platform answers {answer.status_code}", _retry_after(answer))
    if answer.status_code >= 500:  # noqa: PLR2004
        raise Faulty(f"the platform answers {answer.status_code}")
    try:
        body: Any = json.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        # A page of a proxy, most likely: no word of the platform about this call.
        raise Away(f"no JSON in an answer with status {answer.status_code}")
    said = cast("dict[str, Any]", body)
    if answer.is_success:
        return said
    detail = str(said.get("detail") or said.get("title") or "")[:_MOST_DETAIL]
    raise Refused(answer.status_code, str(said.get("error") or said.get("code") or ""), detail)


def _retry_after(answer: "httpx2.Response") -> float | None:
    try:
        wished = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(wished, 0.0), _LONGEST_RETRY_AFTER)
