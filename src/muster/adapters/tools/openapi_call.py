"""Carrying out one operation of an OpenAPI document."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome, validate_arguments
from muster.adapters.tools.exchange import FRAMING_HEADERS, Auth, Call, Parameters, exchange
from muster.adapters.tools.http import as_text, encode_segment
from muster.adapters.tools.openapi import Binding, OpenApiDocument, Operation
from muster.kernel.egress import Egress

_SEPARATORS = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
_FORM = "application/x-www-form-urlencoded"


async def call(
    document: OpenApiDocument,
    operation_id: str,
    arguments: Mapping[str, Any],
    egress: Egress,
    *,
    base_url: str | None = None,
    auth: Auth | None = None,
    secret: str | None = None,
    timeout_s: float = 30.0,
    max_bytes: int = 1_000_000,
    retries: int = 0,
    idempotency_key: str | None = None,
) -> ToolOutcome:
    """Call an operation; `base_url` overrides the document's server."""
    operation = document.operation(operation_id)
    server = base_url or operation.server
    if server is None or urlsplit(server).scheme not in {"http", "https"}:
        raise ToolConfigurationInvalid(
            "The document names no server with an http(s) address; configure a base URL."
        )
    checked = validate_arguments(operation.input_schema, dict(arguments))
    request = _build(operation, checked, server.rstrip("/"), timeout_s, max_bytes, retries)
    return await exchange(
        egress, request, auth=auth, secret=secret, idempotency_key=idempotency_key
    )


def _build(
    operation: Operation,
    arguments: Mapping[str, Any],
    server: str,
    timeout_s: float,
    max_bytes: int,
    retries: int,
) -> Call:
    path_values: dict[str, str] = {}
    params: Parameters = []
    headers: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for name, value in arguments.items():
        binding = operation.bindings[name]
        match binding.place:
            case "path":
                path_values[binding.name] = encode_segment(name, _simple(binding, value))
            case "query":
                params += _query(binding, value)
            case "header":
                if binding.name.lower() not in FRAMING_HEADERS:
                    headers[binding.name] = _simple(binding, value)
            case "body":
                fields[binding.name] = value
    path = re.sub(r"\{([^{}]+)\}", lambda match: path_values[match[1]], operation.path)
    has_json, json_body, content = _body(operation, fields, headers)
    return Call(
        method=operation.method,
        url=server + path,
        headers=headers,
        params=params,
        json_body=json_body,
        has_json=has_json,
        content=content,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        retries=retries,
    )


def _body(
    operation: Operation, fields: dict[str, Any], headers: dict[str, str]
) -> tuple[bool, Any, bytes | None]:
    media_type = operation.body_media_type
    if media_type is None or (not fields and operation.whole_body):
        return False, None, None
    value = fields["body"] if operation.whole_body else fields
    kind = media_type.partition(";")[0].strip().lower()
    if kind == _FORM:
        headers["Content-Type"] = _FORM
        pairs: Parameters = []
        for name, inner in (
            cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        ).items():
            pairs += _query(Binding(place="query", name=name), inner)
        return False, None, urlencode(pairs).encode()
    if kind == "text/plain":
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return False, None, as_text(value).encode()
    if kind in {"application/json", "*/*"}:
        return True, value, None
    headers["Content-Type"] = media_type
    return False, None, json.dumps(value, ensure_ascii=False).encode()


def _simple(binding: Binding, value: Any) -> str:
    """The style of path and header parameters: `a,b` and `k,v` or, exploded, `k=v`."""
    if binding.as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ",".join(as_text(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        join = "=" if binding.explode else ","
        entries = cast("dict[str, Any]", value).items()
        return ",".join(f"{key}{join}{as_text(item)}" for key, item in entries)
    return as_text(value)


def _query(binding: Binding, value: Any) -> Parameters:
    name = binding.name
    if binding.as_json:
        return [(name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, list):
        texts = [as_text(item) for item in cast("list[Any]", value)]
        if not binding.explode:
            texts = [_SEPARATORS.get(binding.style, ",").join(texts)]
        return [(name, text) for text in texts]
    if isinstance(value, dict):
        entries = {key: as_text(item) for key, item in cast("dict[str, Any]", value).items()}
        if binding.style == "deepObject":
            return [(f"{name}[{key}]", text) for key, text in entries.items()]
        if binding.explode:
            return list(entries.items())
        return [(name, ",".join(f"{key},{text}" for key, text in entries.items()))]
    return [] if value is None else [(name, as_text(value))]
