"""The `openapi` tool: each operation of a document (3.0 or 3.1) as one callable tool."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import urljoin, urlsplit

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolFailed
from muster.adapters.tools.openapi_schema import Json, SchemaReader, resolve
from muster.kernel.egress import Egress

MAX_DOCUMENT_BYTES = 5_000_000
_MAX_NODES = 1_000_000
_MAX_DEPTH = 150
_MAX_NAME = 64
_HTTP_ERROR = 400
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_OWN_HEADERS = frozenset({"accept", "content-type", "authorization"})

Place = Literal["path", "query", "header", "body"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where one argument goes. `name` is the parameter's or body field's own name."""

    place: Place
    name: str
    style: str = "form"
    explode: bool = True
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `bindings` maps each argument of `input_schema` to its place.

    `body_media_type` is None without a body; `whole_body` says that the argument `body` is all of
    it, else its fields are arguments of their own.
    """

    operation_id: str
    name: str
    description: str
    input_schema: Json
    method: str
    path: str
    server: str | None
    bindings: dict[str, Binding]
    body_media_type: str | None = None
    whole_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiDocument:
    """A parsed document. `skipped` names the operations that cannot be called, and why."""

    title: str
    version: str
    description: str
    operations: tuple[Operation, ...]
    skipped: tuple[str, ...] = ()
    raw: Json = field(repr=False)

    def operation(self, operation_id: str) -> Operation:
        """Find an operation by its id or by its tool name."""
        for operation in self.operations:
            if operation_id in {operation.operation_id, operation.name}:
                return operation
        raise ToolConfigurationInvalid(f"The document has no operation '{operation_id}'.")


async def fetch(url: str, egress: Egress, *, timeout_s: float = 30.0) -> OpenApiDocument:
    """Read a document from an address; a relative server in it is taken from there."""
    response = await egress.request(
        "GET",
        url,
        headers={"Accept": "application/json, application/yaml;q=0.9, */*;q=0.1"},
        timeout_s=timeout_s,
        max_bytes=MAX_DOCUMENT_BYTES,
    )
    if response.status >= _HTTP_ERROR:
        raise ToolFailed(
            f"The document could not be read: the server answered with status {response.status}."
        )
    return parse(response.text(), base_url=str(response.url))


def parse(text: str, *, base_url: str | None = None) -> OpenApiDocument:
    """Read a document from JSON or YAML text."""
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise ToolConfigurationInvalid(
            f"The document is larger than {MAX_DOCUMENT_BYTES // 1_000_000} MB."
        )
    return parse_object(_load(text), base_url=base_url)


def parse_object(loaded: object, *, base_url: str | None = None) -> OpenApiDocument:
    """Read a document that is already parsed."""
    document = _Plain().copy(loaded)
    if not isinstance(document, dict):
        raise ToolConfigurationInvalid("An OpenAPI document is a JSON or YAML object.")
    raw = cast("Json", document)
    version = raw.get("openapi")
    if not isinstance(version, str) or not re.match(r"3\.[01]\.", f"{version}."):
        found = "Swagger 2.0" if "swagger" in raw else f"'{version}'"
        raise ToolConfigurationInvalid(
            f"Only OpenAPI 3.0 and 3.1 are read; this document is {found}."
        )
    operations: list[Operation] = []
    skipped: list[str] = []
    names: set[str] = set()
    for path, method, item, node in _nodes(raw):
        reader = _OperationReader(raw, path, method, item, node)
        try:
            operation = reader.read(names, _server(raw, item, node, base_url))
        except _NotCallableError as reason:
            skipped.append(f"{method.upper()} {path}: {reason}")
            continue
        names.add(operation.name)
        operations.append(operation)
    info = _object(raw.get("info"))
    return OpenApiDocument(
        title=str(info.get("title") or "API"),
        version=str(info.get("version") or ""),
        description=str(info.get("description") or ""),
        operations=tuple(operations),
        skipped=tuple(skipped),
        raw=raw,
    )


class _NotCallableError(Exception):
    """Why an operation is left out."""


class _OperationReader:
    def __init__(self, document: Json, path: str, method: str, item: Json, node: Json) -> None:
        self._document = document
        self._path = path
        self._method = method
        self._item = item
        self._node = node
        self._schemas = SchemaReader(document)
        self._fields: list[tuple[Binding, Json, bool]] = []

    def read(self, taken: set[str], server: str | None) -> Operation:
        self._read_parameters()
        media_type, whole = self._read_body()
        properties, required, bindings = self._merge()
        schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            schema["required"] = required
        if self._schemas.definitions:
            schema["$defs"] = self._schemas.definitions
        fallback = f"{self._method}{self._path}"
        operation_id = str(self._node.get("operationId") or f"{self._method.upper()} {self._path}")
        texts = [self._node.get("summary"), self._node.get("description")]
        description = "\n\n".join(dict.fromkeys(str(text).strip() for text in texts if text))
        return Operation(
            operation_id=operation_id,
            name=_unique_name(str(self._node.get("operationId") or fallback), taken),
            description=description or f"{self._method.upper()} {self._path}",
            input_schema=schema,
            method=self._method.upper(),
            path=self._path,
            server=server,
            bindings=bindings,
            body_media_type=media_type,
            whole_body=whole,
        )

    def _read_parameters(self) -> None:
        found: dict[tuple[str, str], Json] = {}
        for owner in (self._item, self._node):
            for entry in _list(owner.get("parameters")):
                parameter = resolve(self._document, entry)
                found[str(parameter.get("name")), str(parameter.get("in"))] = parameter
        for (name, place), parameter in found.items():
            required = parameter.get("required") is True or place == "path"
            if place == "cookie" and required:
                raise _NotCallableError("it needs a cookie")
            if place not in {"path", "query", "header"}:
                continue
            if place == "header" and name.lower() in _OWN_HEADERS:
                continue
            self._fields.append(self._parameter(name, cast("Place", place), parameter, required))
        declared = {binding.name for binding, _, _ in self._fields if binding.place == "path"}
        for name in re.findall(r"\{([^{}]+)\}", self._path):
            if name not in declared:
                binding = Binding(place="path", name=name, style="simple", explode=False)
                self._fields.append((binding, {"type": "string"}, True))

    def _parameter(
        self, name: str, place: Place, parameter: Json, required: bool
    ) -> tuple[Binding, Json, bool]:
        content = _object(parameter.get("content"))
        holder = _object(next(iter(content.values()), None)) if content else parameter
        schema = self._schemas.read(holder.get("schema"))
        description = parameter.get("description")
        if isinstance(description, str) and "description" not in schema:
            schema = {**schema, "description": description}
        default = "form" if place == "query" else "simple"
        style = str(parameter.get("style") or default)
        explode = parameter.get("explode")
        binding = Binding(
            place=place,
            name=name,
            style=style,
            explode=explode if isinstance(explode, bool) else style == "form",
            as_json=bool(content),
        )
        return binding, schema, required

    def _read_body(self) -> tuple[str | None, bool]:
        body = resolve(self._document, self._node.get("requestBody"))
        content = _object(body.get("content"))
        if not content:
            return None, False
        media_type = _pick_media_type(list(content))
        required = body.get("required") is True
        if media_type is None:
            if required:
                raise _NotCallableError(f"it needs a body of type {', '.join(content)}")
            return None, False
        schema = self._schemas.read(_object(content[media_type]).get("schema"))
        properties: object = schema.get("properties")
        if schema.get("type") == "object" and isinstance(properties, dict) and properties:
            wanted = _list(schema.get("required")) if required else []
            for name, inner in cast("Json", properties).items():
                field_of_body = Binding(place="body", name=name)
                self._fields.append((field_of_body, _object(inner), name in wanted))
            return media_type, False
        if "description" not in schema and isinstance(body.get("description"), str):
            schema = {**schema, "description": body["description"]}
        self._fields.append((Binding(place="body", name="body"), schema, required))
        return media_type, True

    def _merge(self) -> tuple[Json, list[str], dict[str, Binding]]:
        """Name the arguments; one that several places share gets its place as a prefix."""
        count: dict[str, int] = {}
        for binding, _, _ in self._fields:
            count[binding.name] = count.get(binding.name, 0) + 1
        properties: Json = {}
        required: list[str] = []
        bindings: dict[str, Binding] = {}
        for binding, schema, is_required in self._fields:
            name = binding.name
            if count[name] > 1:
                name = f"{binding.place}_{name}"
            while name in bindings:
                name = f"{binding.place}_{name}"
            properties[name], bindings[name] = schema, binding
            if is_required:
                required.append(name)
        return properties, required, bindings


def _nodes(document: Json) -> Iterator[tuple[str, str, Json, Json]]:
    for path, entry in _object(document.get("paths")).items():
        item = resolve(document, entry)
        for method in _METHODS:
            if path.startswith("/") and isinstance(item.get(method), dict):
                yield path, method, item, item[method]


def _pick_media_type(offered: list[str]) -> str | None:
    plain = {name.partition(";")[0].strip().lower(): name for name in offered}
    for kind, name in plain.items():
        if kind == "application/json" or kind.endswith("+json"):
            return name
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        if kind in plain:
            return plain[kind]
    return plain.get("*/*")


def _server(document: Json, item: Json, node: Json, base_url: str | None) -> str | None:
    for owner in (node, item, document):
        for entry in _list(owner.get("servers")):
            server = _object(entry)
            url = str(server.get("url") or "")
            for name, variable in _object(server.get("variables")).items():
                url = url.replace(f"{{{name}}}", str(_object(variable).get("default", "")))
            url = urljoin(base_url, url) if base_url else url
            if urlsplit(url).scheme in {"http", "https"}:
                return url.rstrip("/")
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _unique_name(wanted: str, taken: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_")[:_MAX_NAME] or "operation"
    name, number = stem, 1
    while name in taken:
        number += 1
        suffix = f"_{number}"
        name = stem[: _MAX_NAME - len(suffix)] + suffix
    return name


def _object(node: Any) -> Json:
    return cast("Json", node) if isinstance(node, dict) else {}


def _list(node: Any) -> list[Any]:
    return cast("list[Any]", node) if isinstance(node, list) else []


def _load(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    import yaml

    class PlainLoader(yaml.SafeLoader):
        """Leaves dates as text, because the result must be JSON."""

    PlainLoader.yaml_implicit_resolvers = {
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader=PlainLoader)  # noqa: S506 (a subclass of the safe loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ToolConfigurationInvalid(
            f"The document is neither JSON nor YAML that can be read{where}."
        ) from None


class _Plain:
    """Copies what YAML gave into plain JSON values, within bounds that an alias cannot break."""

    def __init__(self) -> None:
        self._left = _MAX_NODES

    def copy(self, node: object, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise ToolConfigurationInvalid("The document is too large or nested too deeply.")
        if isinstance(node, Mapping):
            entries = cast("Mapping[Any, Any]", node).items()
            return {str(key): self.copy(value, depth + 1) for key, value in entries}
        if isinstance(node, list):
            return [self.copy(value, depth + 1) for value in cast("list[Any]", node)]
        if node is None or isinstance(node, str | bool | int | float):
            return node
        return str(node)
