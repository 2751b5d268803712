"""What every kind of tool says about itself."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome, validate_schema
from muster.domains.catalogue.tools.binding import Call, ToolContext
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.references import Opened, ReadByName, open_secrets
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import AppError, FieldError

M = TypeVar("M", bound=BaseModel)

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_VERBS = {"HEAD": "GET", "OPTIONS": "GET", "PUT": "PATCH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One thing that a tool can do.

    `function` is None where a tool is one function by itself. `needed_s` is the time that the
    configuration allows a call; a tool without a time limit of its own gets at least that.
    """

    parameters: dict[str, Any]
    perform: Call
    description: str
    function: str | None = None
    step_kind: str = "step.resource"
    verb: str | None = None
    idempotent: bool = False
    needed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found by looking at the source of a tool with several functions."""

    configuration: dict[str, Any]
    functions: list[dict[str, Any]] | None


class Kind(ABC):
    """A kind of tool. Configurations that it is given name secrets and hold none."""

    name: ClassVar[str]
    takes_schema: ClassVar[bool] = True
    """Whether the input schema can be set by hand."""

    @abstractmethod
    def overridable(self, definition: Definition) -> frozenset[str]:
        """Return the fields that an agent may set: none that say where a call goes."""

    @abstractmethod
    def schema(self, definition: Definition | None = None) -> dict[str, Any]:
        """Return the JSON Schema of the configuration."""

    @abstractmethod
    def check(self, definition: Definition) -> None:
        """Raise `ToolConfigurationInvalid` when the configuration cannot be used."""

    @abstractmethod
    def faces(self, definition: Definition, services: ToolServices) -> list[Face]:
        """Return what the tool can do; raises `ToolConfigurationInvalid`."""

    def addresses(self, definition: Definition) -> list[str]:
        """Return the addresses that calls will go to."""
        del definition
        return []


class ExpandingKind(Kind):
    """A kind whose tools have several functions, found by looking at their source."""

    takes_schema: ClassVar[bool] = False

    @abstractmethod
    async def look(
        self, definition: Definition, services: ToolServices, project_id: str, read: ReadByName
    ) -> Found:
        """Look at the source of the tool for its functions."""


def parse(model: type[M], configuration: Mapping[str, Any]) -> M:
    """Check a configuration; every fault is named by its field."""
    try:
        return model.model_validate(dict(configuration))
    except ValidationError as error:
        faults = [
            FieldError(
                ".".join(["configuration", *(str(part) for part in fault["loc"])]),
                fault["msg"].removeprefix("Value error, "),
            )
            for fault in error.errors(include_url=False, include_input=False)
        ]
        text = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
        raise ToolConfigurationInvalid(
            f"The tool's configuration is not valid: {text}.", errors=faults
        ) from None


def with_auth(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Write `api_key_name` as the `auth` that it stands for."""
    given = dict(configuration)
    name = given.pop("api_key_name", None)
    if name is None:
        return given
    if given.get("auth") is not None or not isinstance(name, str):
        text = "must be the name of a key in the vault, and cannot go with 'auth'"
        raise ToolConfigurationInvalid(
            f"api_key_name {text}.", errors=[FieldError("configuration.api_key_name", text)]
        )
    return {**given, "auth": {"type": "bearer", "secret": name}}


def with_api_key_name(schema: dict[str, Any]) -> dict[str, Any]:
    """Add `api_key_name` to the schema of a configuration that has `auth`."""
    text = "Name of a key in the vault that is sent as a bearer token; short for 'auth'."
    named = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": text}
    properties = {**schema.get("properties", {}), "api_key_name": named}
    return {**schema, "properties": properties}


def verb_of(method: str) -> str:
    """Return what an HTTP method is in the vocabulary of governance."""
    return _VERBS.get(method, method)


def sound_schema(schema: Any, fallback: dict[str, Any]) -> dict[str, Any]:
    """Return a schema from outside if arguments can be checked by it, else the fallback."""
    try:
        return {"type": "object", **validate_schema(schema)}
    except ToolConfigurationInvalid:
        return fallback


async def with_secrets(
    definition: Definition,
    services: ToolServices,
    context: ToolContext,
    act: Callable[[Opened], Awaitable[ToolOutcome]],
) -> ToolOutcome:
    """Open the secrets of a tool for one call; nothing that comes back holds them."""

    async def read(name: str) -> str:
        return await services.read_secret(context.project_id, name)

    opened = await open_secrets(definition.configuration, read)
    try:
        return opened.hide_in(await act(opened))
    except AppError as error:
        raise opened.hide_in_error(error) from None
