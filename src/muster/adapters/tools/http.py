"""The `http` tool: one templated request, described by data."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from muster.adapters.tools.base import (
    ToolConfigurationInvalid,
    ToolInputInvalid,
    ToolOutcome,
    validate_arguments,
    validate_schema,
)
from muster.adapters.tools.exchange import (
    FRAMING_HEADERS,
    Auth,
    Call,
    HeaderName,
    Method,
    Parameters,
    exchange,
)
from muster.kernel.egress import Egress
from muster.kernel.errors import FieldError

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\|json)?\}")
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_URL = "must be an http(s) address whose scheme, host and port hold no placeholder"


class HttpResponse(BaseModel):
    """What to take from the answer."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(
        default=None,
        description="Part of a JSON answer to return, such as `data.items[0].name`.",
        pattern=r"^([^.\[\]]+|\[\d+\])(\.[^.\[\]]+|\[\d+\])*$",
    )
    max_bytes: int = Field(
        default=1_000_000, ge=1, le=20_000_000, description="Largest answer to read."
    )


class HttpToolConfiguration(BaseModel):
    """One request: `{name}` stands for an argument as text, `{name|json}` for it as JSON.

    A query field, header or part of a JSON body that is nothing but one placeholder is left out
    when its argument is absent; in a JSON body it keeps the argument's type.
    """

    model_config = ConfigDict(extra="forbid")

    method: Method = "GET"
    url: str = Field(min_length=8, max_length=4_000, examples=["https://api.example.com/v1/{id}"])
    headers: dict[HeaderName, str] = {}
    query: dict[str, Any] = {}
    body: Any = Field(default=None, description="Text, or a JSON value whose texts are templates.")
    send_arguments: Literal["query", "body"] | None = Field(
        default=None, description="Send every argument as it is, as the query or as a JSON body."
    )
    auth: Auth = Auth()
    response: HttpResponse = HttpResponse()
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    input_schema: dict[str, Any] | None = Field(
        default=None,
        description="JSON Schema of the arguments; derived from the placeholders if absent.",
    )

    @field_validator("url")
    @classmethod
    def _fixed_host(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError(_URL) from None
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or re.search(r"[{}\\\s]", parts.netloc)
        ):
            raise ValueError(_URL)
        if "@" in parts.netloc:
            raise ValueError("must not hold a user or password; use 'auth'")
        return url

    @field_validator("headers")
    @classmethod
    def _no_framing(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in FRAMING_HEADERS:
                raise ValueError(f"the header '{name}' is set by the client")
            if re.search(r"[\r\n\x00]", value):
                raise ValueError(f"the header '{name}' must not contain line breaks")
        return headers

    @model_validator(mode="after")
    def _one_body(self) -> "HttpToolConfiguration":
        sends_body = self.body is not None or self.send_arguments == "body"
        if sends_body and self.method in _WITHOUT_BODY:
            raise ValueError(f"a {self.method} request has no body")
        if self.body is not None and self.send_arguments == "body":
            raise ValueError("give either 'body' or send the arguments as the body")
        return self


def configuration_schema() -> dict[str, Any]:
    """The JSON Schema of an `http` tool's configuration."""
    return HttpToolConfiguration.model_json_schema()


def parse_configuration(configuration: Mapping[str, Any]) -> HttpToolConfiguration:
    """Check a stored configuration; every fault is named by its field."""
    try:
        parsed = HttpToolConfiguration.model_validate(dict(configuration))
    except ValidationError as error:
        faults = [
            FieldError(".".join(str(part) for part in fault["loc"]), _clean(fault["msg"]))
            for fault in error.errors(include_url=False, include_input=False)
        ]
        text = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
        raise ToolConfigurationInvalid(
            f"The tool's configuration is not valid: {text}.", errors=faults
        ) from None
    if parsed.input_schema is not None:
        validate_schema(parsed.input_schema, "configuration.input_schema")
    return parsed


def from_custom(configuration: Mapping[str, Any]) -> HttpToolConfiguration:
    """Read the short form `{api_endpoint, parameters, method}`.

    `parameters` is a JSON Schema, or a map of field names to schemas, to type names or to default
    values. The arguments are sent as a JSON body, or as the query when the method has none.
    """
    unknown = set(configuration) - {"api_endpoint", "parameters", "method", "auth", "timeout_s"}
    if unknown or not isinstance(configuration.get("api_endpoint"), str):
        raise ToolConfigurationInvalid(
            "A custom tool is configured by 'api_endpoint' (an address) and, if needed, "
            "'parameters', 'method', 'auth' and 'timeout_s'."
        )
    parameters: object = configuration.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise ToolConfigurationInvalid("'parameters' must be a JSON object.")
    method = str(configuration.get("method") or "POST").upper()
    rest = {key: configuration[key] for key in ("auth", "timeout_s") if key in configuration}
    return parse_configuration(
        {
            "method": method,
            "url": configuration["api_endpoint"],
            "send_arguments": "query" if method in {"GET", "HEAD", "DELETE"} else "body",
            "input_schema": _custom_schema(cast("Mapping[str, Any]", parameters)),
            **rest,
        }
    )


def input_schema(configuration: HttpToolConfiguration) -> dict[str, Any]:
    """The JSON Schema of the arguments: the given one, or one derived from the placeholders."""
    if configuration.input_schema is not None:
        return {"type": "object", **configuration.input_schema}
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    optional = [*configuration.query.values(), *configuration.headers.values()]
    for text in (configuration.url, *_texts(optional), *_texts(configuration.body)):
        for match in _PLACEHOLDER.finditer(text):
            as_json = match[2] or (match[0] == text and text in _texts(configuration.body))
            known: dict[str, Any] = properties.get(match[1], {"type": "string"})
            properties[match[1]] = {} if as_json else known
            required[match[1]] = None
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


async def call(
    configuration: HttpToolConfiguration,
    arguments: Mapping[str, Any],
    egress: Egress,
    *,
    secret: str | None = None,
    idempotency_key: str | None = None,
) -> ToolOutcome:
    """Fill the template and send the request. `secret` is the value that `auth.secret` names."""
    checked = validate_arguments(input_schema(configuration), dict(arguments))
    return await exchange(
        egress,
        build(configuration, checked),
        auth=configuration.auth,
        secret=secret,
        idempotency_key=idempotency_key,
    )


def build(configuration: HttpToolConfiguration, arguments: Mapping[str, Any]) -> Call:
    """The request with every placeholder filled; no argument can change where it goes."""
    headers = {
        name: _fill(value, arguments)
        for name, value in configuration.headers.items()
        if not _absent(value, arguments)
    }
    params = _fill_query(configuration.query, arguments)
    body = configuration.body
    has_json, content = False, None
    if configuration.send_arguments == "query":
        params += [pair for name in arguments for pair in _pairs(name, arguments[name])]
    if configuration.send_arguments == "body":
        has_json, body = True, dict(arguments)
    elif body is not None:
        if isinstance(body, str):
            content = _fill(body, arguments).encode()
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = _guess_type(content)
        else:
            has_json, body = True, _fill_json(body, arguments)
    return Call(
        method=configuration.method,
        url=_fill_url(configuration.url, arguments),
        headers=headers,
        params=params,
        json_body=body if has_json else None,
        has_json=has_json,
        content=content,
        timeout_s=configuration.timeout_s,
        max_bytes=configuration.response.max_bytes,
        retries=configuration.retries,
        response_path=configuration.response.path,
    )


def encode_segment(name: str, value: str) -> str:
    """Percent-encode one path segment so that it stays one segment."""
    if value in {"", ".", ".."}:
        raise ToolInputInvalid(
            f"'{name}' must not be empty, '.' or '..': it is a part of the address.",
            errors=[FieldError(name, "must not be empty, '.' or '..'")],
        )
    return quote(value, safe="")


def as_text(value: Any) -> str:
    """An argument as it is written into a text: JSON, except that a string stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill_url(url: str, arguments: Mapping[str, Any]) -> str:
    parts = urlsplit(url)

    def encoded(match: re.Match[str]) -> str:
        return quote(_value(match, arguments), safe="")

    segments: list[str] = []
    for segment in parts.path.split("/"):
        filled = _PLACEHOLDER.sub(encoded, segment)
        if filled != segment:
            names = _PLACEHOLDER.findall(segment)
            if filled in {"", ".", ".."}:
                encode_segment(names[0][0], filled)
        segments.append(filled)
    query = _PLACEHOLDER.sub(encoded, parts.query)
    return parts._replace(path="/".join(segments), query=query, fragment="").geturl()


def _fill_query(query: Mapping[str, Any], arguments: Mapping[str, Any]) -> Parameters:
    filled: Parameters = []
    for name, template in query.items():
        if isinstance(template, str) and _absent(template, arguments):
            continue
        filled += _pairs(name, _fill_json(template, arguments))
    return filled


def _pairs(name: str, value: Any) -> Parameters:
    many = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [(name, as_text(item)) for item in many if item is not None]


def _fill_json(template: Any, arguments: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        if whole and not whole[2]:
            return _argument(whole[1], arguments)
        return _fill(template, arguments)
    if isinstance(template, dict):
        fields = cast("dict[str, Any]", template)
        return {
            name: _fill_json(value, arguments)
            for name, value in fields.items()
            if not (isinstance(value, str) and _absent(value, arguments))
        }
    if isinstance(template, list):
        return [_fill_json(item, arguments) for item in cast("list[Any]", template)]
    return template


def _fill(template: str, arguments: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda match: _value(match, arguments), template)


def _value(match: re.Match[str], arguments: Mapping[str, Any]) -> str:
    value = _argument(match[1], arguments)
    return json.dumps(value, ensure_ascii=False) if match[2] else as_text(value)


def _argument(name: str, arguments: Mapping[str, Any]) -> Any:
    if name not in arguments:
        raise ToolInputInvalid(
            f"The argument '{name}' is missing.", errors=[FieldError(name, "is missing")]
        )
    return arguments[name]


def _absent(template: str, arguments: Mapping[str, Any]) -> bool:
    whole = _PLACEHOLDER.fullmatch(template)
    return whole is not None and whole[1] not in arguments


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in cast("dict[str, Any]", node).values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from _texts(value)


def _custom_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(parameters.get("properties"), Mapping):
        return dict(parameters)
    names = {"string", "number", "integer", "boolean", "array", "object"}
    properties: dict[str, Any] = {}
    for name, given in parameters.items():
        if isinstance(given, Mapping):
            properties[name] = dict(cast("Mapping[str, Any]", given))
        elif isinstance(given, str) and given in names:
            properties[name] = {"type": given}
        else:
            properties[name] = {"default": given}
    return {"type": "object", "properties": properties}


def _guess_type(content: bytes) -> str:
    try:
        json.loads(content)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"


def _clean(message: str) -> str:
    return message.removeprefix("Value error, ")
