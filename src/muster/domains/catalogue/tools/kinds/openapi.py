"""Tools that are the operations of an OpenAPI document."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from muster.adapters.tools import openapi, openapi_call
from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome
from muster.adapters.tools.exchange import Auth
from muster.adapters.tools.openapi import Binding, OpenApiDocument, Operation
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds.base import (
    REPEATABLE,
    ExpandingKind,
    Face,
    Found,
    parse,
    sound_schema,
    verb_of,
    with_api_key_name,
    with_auth,
    with_secrets,
)
from muster.domains.catalogue.tools.kinds.http import patience
from muster.domains.catalogue.tools.references import Opened, ReadByName, masked
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import FieldError


class OpenApiConfiguration(BaseModel):
    """A document, by its address or as it is, and which of its operations may be called.

    The document is read when the tool is saved: its operations become the tool's functions, and
    `info` says what was read.
    """

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str | None, Field(max_length=4_000, description="Where the document is read from.")
    ] = None
    document: Annotated[
        str | dict[str, Any] | None,
        Field(description="The document, as JSON or as a text of JSON or YAML. Not kept as it is."),
    ] = None
    base_url: Annotated[
        str | None,
        Field(max_length=4_000, description="Where the API is, in place of the document's server."),
    ] = None
    operations: Annotated[
        list[str] | None, Field(description="Ids of the operations to offer. Null is all.")
    ] = None
    auth: Auth = Auth()
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    info: Annotated[
        dict[str, Any] | None, Field(description="What was read; set by the server.")
    ] = None

    @model_validator(mode="after")
    def _has_source(self) -> "OpenApiConfiguration":
        if self.url is not None and self.document is not None:
            raise ValueError("give either 'url' or 'document'")
        if self.url is None and self.document is None and self.info is None:
            raise ValueError("give the document in 'document' or its address in 'url'")
        return self


class OpenApiKind(ExpandingKind):
    """The operations of a document, each as a function."""

    name: ClassVar[str] = "openapi"

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"operations", "timeout_s", "retries"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return with_api_key_name(OpenApiConfiguration.model_json_schema())

    def check(self, definition: Definition) -> None:
        _read(masked(definition.configuration))

    def addresses(self, definition: Definition) -> list[str]:
        parsed = _read(masked(definition.configuration))
        return [address for address in (parsed.url, parsed.base_url) if address]

    async def look(
        self, definition: Definition, services: ToolServices, project_id: str, read: ReadByName
    ) -> Found:
        del project_id, read
        parsed = _read(masked(definition.configuration))
        if parsed.url is not None:
            document = await openapi.fetch(
                parsed.url, services.egress, timeout_s=services.default_timeout_s
            )
        elif parsed.document is not None:
            document = await asyncio.to_thread(_parse, parsed.document)
        elif definition.functions is None:
            text = "give the document in 'document' or its address in 'url'"
            raise ToolConfigurationInvalid(
                f"configuration: {text}.", errors=[FieldError("configuration", text)]
            )
        else:
            return Found(configuration=definition.configuration, functions=definition.functions)
        kept = {k: v for k, v in definition.configuration.items() if k != "document"}
        info = {
            "title": document.title,
            "version": document.version,
            "operations": len(document.operations),
            "skipped": list(document.skipped),
        }
        functions = [_stored(operation) for operation in document.operations]
        return Found(configuration={**kept, "info": info}, functions=functions)

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        parsed = _read(masked(definition.configuration))
        allowed = None if parsed.operations is None else set(parsed.operations)
        operations = [_operation(stored) for stored in definition.functions or []]
        return [
            self._face(definition, services, operation, parsed)
            for operation in operations
            if allowed is None or {operation.name, operation.operation_id} & allowed
        ]

    def _face(
        self,
        definition: Definition,
        services: ToolServices,
        operation: Operation,
        parsed: OpenApiConfiguration,
    ) -> Face:
        document = OpenApiDocument(
            title="", version="", description="", operations=(operation,), raw={}
        )

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            async def act(opened: Opened) -> ToolOutcome:
                ready = _read(opened.configuration)
                return await openapi_call.call(
                    document,
                    operation.name,
                    arguments,
                    services.egress,
                    base_url=ready.base_url,
                    auth=ready.auth,
                    secret=opened.auth_secret,
                    timeout_s=ready.timeout_s,
                    retries=ready.retries,
                    idempotency_key=context.idempotency_key,
                )

            return await with_secrets(definition, services, context, act)

        return Face(
            function=operation.name,
            parameters=operation.input_schema,
            perform=perform,
            description=operation.description,
            verb=verb_of(operation.method),
            idempotent=operation.method in REPEATABLE,
            needed_s=patience(parsed.timeout_s, parsed.retries),
        )


def _read(configuration: Mapping[str, Any]) -> OpenApiConfiguration:
    return parse(OpenApiConfiguration, with_auth(configuration))


def _parse(given: str | dict[str, Any]) -> OpenApiDocument:
    return openapi.parse(given) if isinstance(given, str) else openapi.parse_object(given)


def _stored(operation: Operation) -> dict[str, Any]:
    # A document may hold schemas that are none; then only the names of arguments are checked.
    names: dict[str, Any] = {name: {} for name in operation.bindings}
    fallback: dict[str, Any] = {
        "type": "object",
        "properties": names,
        "additionalProperties": False,
    }
    return {**asdict(operation), "input_schema": sound_schema(operation.input_schema, fallback)}


def _operation(stored: Mapping[str, Any]) -> Operation:
    bindings = {name: Binding(**binding) for name, binding in stored["bindings"].items()}
    fields: dict[str, Any] = {**stored, "bindings": bindings}
    return Operation(**fields)
