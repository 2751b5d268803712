"""Tools that are one HTTP request: kind `http`, and its short form `custom`."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from muster.adapters.tools import http
from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome, validate_schema
from muster.adapters.tools.exchange import Auth, Method
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.kinds.base import (
    REPEATABLE,
    Face,
    Kind,
    verb_of,
    with_api_key_name,
    with_auth,
    with_secrets,
)
from muster.domains.catalogue.tools.references import Opened, is_sensitive, is_template, masked
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import FieldError

_LONGEST_PAUSE_S = 10.0
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})


class HttpKind(Kind):
    """One templated request."""

    name: ClassVar[str] = "http"

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"headers", "query", "body", "response", "timeout_s", "retries"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return with_api_key_name(http.configuration_schema())

    def read(self, configuration: Mapping[str, Any]) -> http.HttpToolConfiguration:
        """Read a configuration whose secrets are masked or open."""
        return http.parse_configuration(with_auth(configuration))

    def check(self, definition: Definition) -> None:
        self.read(masked(definition.configuration))

    def addresses(self, definition: Definition) -> list[str]:
        parts = urlsplit(self.read(masked(definition.configuration)).url)
        return [f"{parts.scheme}://{parts.netloc}/"]

    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        parsed = self.read(masked(definition.configuration))
        if definition.input_schema is not None:
            parsed = parsed.model_copy(update={"input_schema": definition.input_schema})
        parameters = http.input_schema(parsed)

        async def perform(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
            async def act(opened: Opened) -> ToolOutcome:
                _refuse_templates(opened)
                ready = self.read(opened.configuration)
                return await http.call(
                    ready.model_copy(update={"input_schema": parameters}),
                    arguments,
                    services.egress,
                    secret=opened.auth_secret,
                    idempotency_key=context.idempotency_key,
                )

            return await with_secrets(definition, services, context, act)

        return [
            Face(
                parameters=parameters,
                perform=perform,
                description=definition.description,
                verb=verb_of(parsed.method),
                idempotent=parsed.method in REPEATABLE,
                needed_s=patience(parsed.timeout_s, parsed.retries),
            )
        ]


class CustomConfiguration(BaseModel):
    """An address that is sent the arguments: as a JSON body, or as the query of a GET."""

    model_config = ConfigDict(extra="forbid")

    api_endpoint: str = Field(
        min_length=8, max_length=4_000, examples=["https://api.example.com/search"]
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="Arguments: a JSON Schema, or a map of names to schemas, types or defaults.",
    )
    method: Method = "POST"
    auth: Auth = Auth()
    timeout_s: float = Field(default=30.0, gt=0, le=300)


class CustomKind(HttpKind):
    """The short form: an address and parameters."""

    name: ClassVar[str] = "custom"

    def overridable(self, definition: Definition) -> frozenset[str]:
        del definition
        return frozenset({"parameters", "timeout_s"})

    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        del definition
        return with_api_key_name(CustomConfiguration.model_json_schema())

    def check(self, definition: Definition) -> None:
        super().check(definition)
        parameters: dict[str, Any] = definition.configuration.get("parameters") or {}
        for name, default in parameters.items():
            if is_sensitive(name) and isinstance(default, str) and default not in _TYPES:
                text = "would be shown to the model as a default; send it by 'auth' instead"
                raise ToolConfigurationInvalid(
                    f"parameters.{name} {text}.",
                    errors=[FieldError(f"configuration.parameters.{name}", text)],
                )

    def read(self, configuration: Mapping[str, Any]) -> http.HttpToolConfiguration:
        parsed = http.from_custom(with_auth(configuration))
        if parsed.input_schema is not None:
            validate_schema(parsed.input_schema, "configuration.parameters")
        return parsed


def patience(timeout_s: float, retries: int) -> float:
    """Return how long a request with its retries and the pauses between may take."""
    return (timeout_s + _LONGEST_PAUSE_S) * (retries + 1)


def _refuse_templates(opened: Opened) -> None:
    """A placeholder inside a secret would be filled in as if it were the template's own."""
    if any(is_template(value) for value in opened.values if value != opened.auth_secret):
        raise ToolConfigurationInvalid(
            "A secret that the tool puts into its request holds text in braces, which would be "
            "taken for a placeholder. Send it by 'auth' instead."
        )
