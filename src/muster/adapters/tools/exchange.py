"""One HTTP exchange on behalf of a tool: authentication, retries, and an answer without secrets."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, ConfigDict, Field, model_validator

from muster.adapters.tools.base import (
    MAX_TEXT_CHARS,
    ToolConfigurationInvalid,
    ToolFailed,
    ToolInputInvalid,
    ToolOutcome,
    ToolTimeout,
    ToolUnreachable,
    shorten,
)
from muster.kernel.egress import Egress, EgressFailed, EgressResponse
from muster.kernel.errors import UpstreamFailed, UpstreamTimeout

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Parameters = list[tuple[str, str]]

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_PUBLIC_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_TRANSIENT = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_SHORTEST_REDACTED = 4
_ERROR_TEXT_CHARS = 2_000
_HTTP_ERROR = 400
# Set by the client itself; from outside they could smuggle a second request or another host.
FRAMING_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


class Auth(BaseModel):
    """How a request proves who sends it. `secret` is a name; its value is given at call time."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["none", "bearer", "basic", "api_key"] = "none"
    secret: str | None = Field(default=None, description="Name of the secret in the vault.")
    username: str | None = Field(
        default=None, description="For `basic`; without it the secret is `user:password`."
    )
    header: HeaderName | None = Field(
        default=None, description="For `api_key`: the header to put it in."
    )
    query: str | None = Field(
        default=None, description="For `api_key`: the query parameter to put it in."
    )

    @model_validator(mode="after")
    def _complete(self) -> "Auth":
        if self.type != "none" and not self.secret:
            raise ValueError("name the secret that holds the credential")
        if self.type == "api_key" and (self.header is None) == (self.query is None):
            raise ValueError("an API key needs either 'header' or 'query'")
        if self.username is not None and self.type != "basic":
            raise ValueError("'username' goes with the type 'basic'")
        if (self.header or self.query) and self.type != "api_key":
            raise ValueError("'header' and 'query' go with the type 'api_key'")
        if (self.header or "").lower() in FRAMING_HEADERS:
            raise ValueError("this header cannot carry an API key")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that is ready to send. `json_body` counts when `has_json`, else `content`."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    params: Parameters = field(default_factory=list[tuple[str, str]])
    json_body: Any = None
    has_json: bool = False
    content: bytes | None = None
    timeout_s: float = 30.0
    max_bytes: int = 1_000_000
    retries: int = 0
    response_path: str | None = None


async def exchange(
    egress: Egress,
    call: Call,
    *,
    auth: Auth | None = None,
    secret: str | None = None,
    idempotency_key: str | None = None,
) -> ToolOutcome:
    """Send `call` and read its answer.

    A method that may not be repeated is retried only with an `idempotency_key`, which is then sent
    as `Idempotency-Key`. The value of the secret is struck out of whatever comes back.

    Raises:
        ToolFailed: the server could not be reached or its answer could not be read.
        ToolTimeout: no answer within `timeout_s`.
    """
    headers = dict(call.headers)
    params = list(call.params)
    hidden = _authenticate(auth or Auth(), secret, headers, params)
    if idempotency_key and call.method not in _REPEATABLE:
        headers["Idempotency-Key"] = idempotency_key
    for name, value in headers.items():
        require_header_value(name, value)
    repeatable = call.method in _REPEATABLE or idempotency_key is not None
    attempts = 1 + (call.retries if repeatable else 0)
    response, attempt = await _send(egress, call, headers, params, attempts)
    return _outcome(call, response, hidden, attempt)


def require_header_value(name: str, value: str) -> None:
    """Refuse a value that would end the header line or that no header can carry."""
    if re.search(r"[\r\n\x00]", value):
        raise ToolInputInvalid(f"The header '{name}' must not contain line breaks.")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ToolInputInvalid(
            f"The header '{name}' holds characters that a header cannot carry."
        ) from None


def pick(value: Any, path: str) -> Any:
    """Follow a path such as `data.items[0].name`; `LookupError` when it leads nowhere."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if index:
            if not isinstance(value, list):
                raise LookupError(path)
            value = cast("list[Any]", value)[int(index)]
        else:
            if not isinstance(value, dict):
                raise LookupError(path)
            value = cast("dict[str, Any]", value)[name]
    return value


def _authenticate(
    auth: Auth, secret: str | None, headers: dict[str, str], params: Parameters
) -> list[str]:
    """Add the credential and return every form in which it could come back."""
    if auth.type == "none":
        return []
    if not secret:
        raise ToolConfigurationInvalid(
            f"The secret '{auth.secret}' has no value. Store it in the vault and try again."
        )
    hidden = [secret]
    if auth.type == "bearer":
        headers["Authorization"] = f"Bearer {secret}"
    elif auth.type == "basic":
        pair = secret if auth.username is None else f"{auth.username}:{secret}"
        encoded = base64.b64encode(pair.encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
        hidden += [encoded, pair.partition(":")[2]]
    elif auth.header is not None:
        headers[auth.header] = secret
    else:
        params.append((auth.query or "", secret))
    return hidden


async def _send(
    egress: Egress, call: Call, headers: Mapping[str, str], params: Sequence[Any], attempts: int
) -> tuple[EgressResponse, int]:
    content, headers = call.content, dict(headers)
    if call.has_json:
        content = json.dumps(call.json_body, ensure_ascii=False).encode()
        headers.setdefault("Content-Type", "application/json")
    # Any header may hold a credential that the user wrote into it: none goes to another origin.
    private = [name for name in headers if name.lower() not in _PUBLIC_HEADERS]
    attempt = 1
    while True:
        try:
            response = await egress.request(
                call.method,
                call.url,
                headers=headers,
                params=list(params) or None,
                content=content,
                timeout_s=call.timeout_s,
                max_bytes=call.max_bytes,
                secret_headers=private,
            )
        except UpstreamTimeout:
            if attempt == attempts:
                raise ToolTimeout(
                    f"{_place(call)} did not answer within {call.timeout_s:g} seconds."
                ) from None
            pause = _pause(attempt)
        except UpstreamFailed as error:
            if attempt == attempts or error.code == "response_too_large":
                kind = ToolUnreachable if isinstance(error, EgressFailed) else ToolFailed
                raise kind(f"{_place(call)} could not be asked. {error.detail}") from None
            pause = _pause(attempt)
        else:
            if response.status not in _TRANSIENT or attempt == attempts:
                return response, attempt
            pause = _pause(attempt, response.headers.get("retry-after"))
        attempt += 1
        await asyncio.sleep(pause)


def _pause(attempt: int, retry_after: str | None = None) -> float:
    asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
    return min(max(asked, _FIRST_PAUSE_S * 2 ** (attempt - 1)), _LONGEST_PAUSE_S)


def _place(call: Call) -> str:
    """The address without its query, which may carry a key or personal data."""
    return f"{call.method} {call.url.partition('?')[0]}"


def _outcome(
    call: Call, response: EgressResponse, hidden: Sequence[str], attempt: int
) -> ToolOutcome:
    properties: dict[str, Any] = {
        "status": response.status,
        "method": call.method,
        "url": call.url.partition("?")[0],
        "media_type": response.media_type,
        "bytes": len(response.content),
        "attempts": attempt,
    }
    text = _redact(response.text(), hidden)
    if response.status >= _HTTP_ERROR:
        short, _ = shorten(text.strip(), _ERROR_TEXT_CHARS)
        message = f"The server answered with status {response.status}."
        return ToolOutcome(
            content=f"{message} {short}".strip(), is_error=True, properties=properties
        )
    if b"\x00" in response.content[:8_192]:
        return ToolOutcome(
            content=f"The answer is binary ({response.media_type or 'of unknown type'}, "
            f"{len(response.content)} bytes) and cannot be shown.",
            is_error=True,
            properties=properties,
        )
    body, problem = _body(text, response.media_type, call.response_path)
    if problem:
        return ToolOutcome(content=problem, is_error=True, properties=properties)
    body, truncated = _bounded(body)
    return ToolOutcome(
        content={"status": response.status, "body": body},
        properties={**properties, "truncated": truncated},
    )


def _body(text: str, media_type: str | None, path: str | None) -> tuple[Any, str | None]:
    """The parsed answer, or why it cannot be used."""
    kind = (media_type or "").lower()
    body: Any = text
    if kind.endswith("json") or (path and text.lstrip()[:1] in {"{", "["}):
        try:
            body = json.loads(text, parse_constant=_refuse_constant) if text.strip() else None
        except (ValueError, RecursionError):
            body = text
    if not path:
        return body, None
    try:
        return pick(body, path), None
    except (LookupError, TypeError):
        known = ", ".join(list(cast("dict[str, Any]", body))[:20]) if isinstance(body, dict) else ""
        hint = f" Its fields are: {known}." if known else ""
        return None, f"The answer has nothing at '{path}'.{hint}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are not JSON: such an answer stays text


def _bounded(body: Any) -> tuple[Any, bool]:
    if body is None or isinstance(body, bool | int | float):
        return body, False
    if isinstance(body, str):
        return shorten(body)
    text = json.dumps(body, ensure_ascii=False)
    return (body, False) if len(text) <= MAX_TEXT_CHARS else shorten(text)


def _redact(text: str, hidden: Sequence[str]) -> str:
    forms: set[str] = set()
    for value in hidden:
        if len(value) >= _SHORTEST_REDACTED:
            forms |= {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
