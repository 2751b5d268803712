"""What went wrong with a provider, said in words of our own that never carry a secret."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from muster.adapters.models.base import ModelFailed, ModelTimeout
from muster.kernel.egress import ResponseTooLarge
from muster.kernel.errors import AppError, UpstreamFailed, UpstreamTimeout

_LONGEST_QUOTE = 300
_SERVER_ERROR = 500
_TRANSIENT_STATUSES = frozenset({408, 425, 429})

# By class name: the HTTP library and its errors are private to the guarded client of the kernel.
_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError", "ModelTimeoutError"})
_BROKEN = frozenset({"TransportError", "StreamError", "ConnectionError", "ModelConnectionError"})

_SECRET = re.compile(
    r"(?i:bearer)\s+\S+"
    r"|\b(?i:sk|pk|rk|gsk|xai|key|api|tok|token|ghp|hf|pat)[-_][\w*.\-]{6,}"
    r"|\bAIza[\w*\-]{8,}"
    r"|\beyJ[\w\-]{8,}(?:\.[\w\-]*)*"
    r"|\b(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{24,}\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Whom we speak to: the provider's name as users gave it, and where it answers."""

    provider: str
    base_url: str
    secret: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The host and port alone: paths and queries of addresses may hold secrets."""
        parts = urlsplit(self.base_url)
        try:
            port = parts.port
        except ValueError:
            port = None
        return (parts.hostname or "its address") + (f":{port}" if port else "")


def is_transient_status(status: int) -> bool:
    """Tell whether the same request may succeed a little later."""
    return status in _TRANSIENT_STATUSES or status >= _SERVER_ERROR


def http_failure(  # noqa: PLR0911 - one return for each case is the clearest table of them
    endpoint: Endpoint,
    status: int,
    *,
    model: str | None = None,
    body: object = None,
    retry_after: float | None = None,
    quota: bool = False,
) -> ModelFailed:
    """Return the failure for an answer with an error status.

    Args:
        endpoint: Who answered.
        status: The HTTP status.
        model: The model that was asked, if one was.
        body: The answer's body, parsed or not; only its error message is ever quoted.
        retry_after: Seconds the provider asks to wait.
        quota: The account is used up, so that waiting does not help.
    """
    name = endpoint.provider
    if status in {401, 403}:
        return ModelFailed(
            f"{name} refused our authentication (HTTP {status}). Check the API key of this "
            "provider, and that it may use the model."
        )
    if quota:
        return ModelFailed(
            f"The account at {name} has used up its quota or credit (HTTP {status}). "
            "Top it up, or choose another provider."
        )
    if status == 404:  # noqa: PLR2004
        what = f"the model {model!r}" if model else "what was asked for"
        return ModelFailed(
            f"{name} does not know {what} (HTTP 404). Check the model's name and the "
            "provider's base URL."
        )
    if status == 429:  # noqa: PLR2004
        wait = f" It asks to wait {retry_after:.0f} seconds." if retry_after else ""
        return ModelFailed(
            f"{name} is limiting our rate (HTTP 429), also after retries.{wait}",
            retryable=True,
            details={"retry_after": retry_after} if retry_after else None,
        )
    said = _quoted(endpoint, body, model)
    if status >= _SERVER_ERROR:
        return ModelFailed(
            f"{name} failed on its side (HTTP {status}), also after retries. Try again later.",
            retryable=True,
        )
    if status in _TRANSIENT_STATUSES:
        return ModelFailed(
            f"{name} gave up waiting for the request (HTTP {status}), also after retries.",
            retryable=True,
        )
    return ModelFailed(f"{name} refused the request (HTTP {status}).{said}")


def connection_failure(endpoint: Endpoint) -> ModelFailed:
    """Return the failure for a server that cannot be reached or hung up."""
    return ModelFailed(
        f"{endpoint.provider} cannot be reached at {endpoint.host}, or it broke the connection. "
        "Check the provider's base URL, and that its server runs.",
        retryable=True,
    )


def timeout_failure(endpoint: Endpoint, seconds: float) -> ModelTimeout:
    """Return the failure for a server that did not answer within the given seconds."""
    return ModelTimeout(
        f"{endpoint.provider} at {endpoint.host} did not answer within {seconds:g} seconds. Try "
        "again, or allow more time with the model setting 'timeout'."
    )


def unreadable_answer(endpoint: Endpoint) -> ModelFailed:
    """Return the failure for an answer that is not what the provider's API promises."""
    return ModelFailed(
        f"{endpoint.provider} at {endpoint.host} gave an answer that is not one of its API. "
        "Check that the provider's family and base URL fit the server."
    )


def unanswered(
    endpoint: Endpoint, error: BaseException, seconds: float
) -> ModelFailed | ModelTimeout | None:
    """Return the failure behind an error of the network, or None if it is another kind of error.

    Args:
        endpoint: Who was asked.
        error: What the provider's library made of the error of its HTTP client.
        seconds: How long the answer was waited for.
    """
    own = _ours_behind(error)
    if own is not None and (
        isinstance(own, ResponseTooLarge) or not isinstance(own, UpstreamFailed | UpstreamTimeout)
    ):
        return ModelFailed(own.detail)  # refused by the guard: asking again changes nothing
    names = {base.__name__ for base in type(error).__mro__}
    if isinstance(own, UpstreamTimeout) or names & _TIMEOUTS:
        return timeout_failure(endpoint, seconds)
    if own is not None or names & _BROKEN:
        return connection_failure(endpoint)
    return None


def _ours_behind(error: BaseException) -> AppError | None:
    # Only causes count: the context may hold an error that the caller was already handling.
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, AppError):
            return current
        current = current.__cause__
    return None


def masked(text: str, *, secret: str | None = None, keep: str | None = None) -> str:
    """Return the text in one line with everything that looks like a key replaced by `***`.

    Args:
        text: Text from a provider.
        secret: A key that is known.
        keep: A harmless word that may look like a key, such as the model's name.
    """
    if secret:
        text = text.replace(secret, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if keep and keep in line:
        return keep.join(_SECRET.sub("***", piece) for piece in line.split(keep))
    return _SECRET.sub("***", line)


def _quoted(endpoint: Endpoint, body: object, model: str | None) -> str:
    message = _message_of(body)
    if not message:
        return ""
    text = masked(message, secret=endpoint.secret, keep=model)
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 1] + "…"
    return f" It says: {text}"


def _message_of(body: object) -> str | None:
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except ValueError:
            return None  # a page or plain text of some proxy is nothing to quote
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, Mapping):
        return None
    fields = cast("Mapping[str, Any]", body)
    nested: object = fields.get("error")
    if isinstance(nested, Mapping):
        return _message_of(cast("object", nested))
    for candidate in (nested, fields.get("message"), fields.get("detail")):
        if isinstance(candidate, str) and candidate:
            return candidate
    details: object = fields.get("detail")
    if isinstance(details, list) and details:
        first = cast("list[object]", details)[0]
        if isinstance(first, Mapping):
            return str(cast("Mapping[str, Any]", first).get("msg") or "") or None
    return None
