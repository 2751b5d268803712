"""What happens to a configuration before it is saved, while no session is held."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from muster.adapters.tools.base import ToolConfigurationInvalid, validate_schema
from muster.domains.catalogue.tools.definitions import Definition
from muster.domains.catalogue.tools.errors import McpStdioRefused, ToolSecretsRefused
from muster.domains.catalogue.tools.kinds import KINDS, ExpandingKind
from muster.domains.catalogue.tools.kinds.mcp import STDIO_OFF, ask, starts_command
from muster.domains.catalogue.tools.references import PREFIX, seal, secret_names
from muster.domains.catalogue.tools.services import ToolServices
from muster.kernel.errors import FieldError
from muster.kernel.ids import new_id
from muster.platform.access import Caller, PlatformRole, Scope
from muster.platform.vault import usable_secrets

MAX_SECRET = 16_384
_SUFFIX = 6
LOOKED_AT = frozenset({"configuration", "functions"})
"""Fields that preparing a definition may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A definition that is fit to be saved, and the secrets to store with it, by name."""

    definition: Definition
    secrets: dict[str, str]


async def prepare(
    services: ToolServices,
    caller: Caller,
    definition: Definition,
    *,
    known_secrets: Collection[str] = (),
) -> Prepared:
    """Check a definition, take the secrets out of it, and look at its source.

    Args:
        services: What tools need.
        caller: Who wants to save it.
        definition: The tool, whose configuration may hold values of secrets.
        known_secrets: Names that the saved configuration refers to: these may get new values.

    Raises:
        ToolConfigurationInvalid: The configuration does not fit the kind.
        McpStdioRefused: It starts a command, and the caller may not.
        AddressRefused: It names an address that may not be reached.
    """
    kind = KINDS[definition.kind]
    require_stdio_allowed(services, caller, definition)
    definition, secrets = await _sealed(services, caller, definition, known_secrets)
    _check_schema(definition)
    kind.check(definition)
    for address in kind.addresses(definition):
        await services.egress.check(address)

    async def read(name: str) -> str:
        return secrets[name] if name in secrets else await read_stored(name)

    async def read_stored(name: str) -> str:
        return await services.read_secret(caller.project_id, name)

    if isinstance(kind, ExpandingKind):
        found = await kind.look(definition, services, caller.project_id, read)
        definition = replace(
            definition, configuration=found.configuration, functions=found.functions
        )
    kind.faces(definition, services)
    return Prepared(definition=definition, secrets=secrets)


def require_stdio_allowed(services: ToolServices, caller: Caller, definition: Definition) -> None:
    """Refuse MCP servers that are started as a command to all but superadmins."""
    if definition.kind != "mcp" or not starts_command(definition.configuration):
        return
    if not services.mcp_stdio:
        raise McpStdioRefused(STDIO_OFF)
    if caller.role is not PlatformRole.SUPERADMIN:
        raise McpStdioRefused(
            "Only a superadmin may define or try an MCP server that is started as a command on "
            "this machine. Ask one, or use a server with an address."
        )


async def _sealed(
    services: ToolServices, caller: Caller, definition: Definition, known: Collection[str]
) -> tuple[Definition, dict[str, str]]:
    configuration, secrets = seal(definition.configuration, definition.name)
    if not secrets:
        return definition, {}
    if not caller.may(Scope.SECRETS_WRITE):
        raise ToolSecretsRefused(
            "The configuration holds a secret, which would go into the vault; that needs the scope "
            f"{Scope.SECRETS_WRITE}. Name a key that is there instead."
        )
    async with services.database.read() as session:
        taken = await usable_secrets(session, caller.project_id, secrets) - set(known)
    if taken:
        # They belong to a tool that had this name before.
        label = f"{definition.name}-{new_id()[-_SUFFIX:]}"
        configuration, secrets = seal(definition.configuration, label)
    for name, value in secrets.items():
        if len(value) > MAX_SECRET:
            raise ToolConfigurationInvalid(f"The secret {name} is longer than {MAX_SECRET}.")
    return replace(definition, configuration=configuration), secrets


def _check_schema(definition: Definition) -> None:
    if definition.input_schema is None:
        return
    if not KINDS[definition.kind].takes_schema:
        text = f"the kind {definition.kind} tells its input by itself"
        raise ToolConfigurationInvalid(
            f"input_schema: {text}; leave it out.", errors=[FieldError("input_schema", text)]
        )
    validate_schema(definition.input_schema, "input_schema")


def orphans(
    before: Mapping[str, Any], after: Mapping[str, Any], others: Collection[Mapping[str, Any]]
) -> list[str]:
    """Return the secrets made for a tool that nothing refers to any more."""
    used = {name for configuration in (after, *others) for name in secret_names(configuration)}
    made = [name for name in secret_names(before) if name.startswith(PREFIX)]
    return [name for name in made if name not in used]


async def discover(
    services: ToolServices, caller: Caller, configuration: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask an MCP server, not saved yet, what it offers."""
    definition = Definition(
        id="", name="", title="", description="", kind="mcp", configuration=dict(configuration)
    )
    require_stdio_allowed(services, caller, definition)
    kind = KINDS["mcp"]
    kind.check(definition)
    for address in kind.addresses(definition):
        await services.egress.check(address)

    async def read(name: str) -> str:
        return await services.read_secret(caller.project_id, name)

    return await ask(definition, services, caller.project_id, read)
