"""Secrets in configurations: found, moved into the vault, opened for a call, struck out after it.

A configuration names a secret as `{"$secret": "name"}` in the place of a text, as `auth.secret` or
as `api_key_name`. A value is never stored in a configuration.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome
from muster.kernel.errors import AppError, FieldError

SECRET = "$secret"  # noqa: S105 - a key, no secret
MASK = "secret"
PREFIX = "tool:"
_MAX_NAME = 255
_SHORTEST_HIDDEN = 4
# Described by schemas and code, where a field called `token` is a name and not a value.
_OPAQUE = frozenset({"input_schema", "parameters", "document", "info", "source"})
_AUTH_VALUES = ("token", "password", "api_key", "key", "value")
_ADDRESSES = frozenset({"url", "api_endpoint", "base_url"})
_SENSITIVE = re.compile(
    r"password|passwd|secret|token|api[-_]?key|authorization|credential|private[-_]?key"
    r"|access[-_]?key|cookie|[-_]auth$|^(key|pass|pwd)$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"[-_](name|type|url)$", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(\|json)?\}")

ReadByName = Callable[[str], Awaitable[str]]


def secret_names(configuration: Mapping[str, Any]) -> list[str]:
    """Return the names of the secrets that a configuration refers to, each once."""
    found: dict[str, None] = {}

    def note(name: str) -> str:
        found[name] = None
        return MASK

    _replace(configuration, note)
    for name in (_auth(configuration).get("secret"), configuration.get("api_key_name")):
        if isinstance(name, str):
            found[name] = None
    return list(found)


def masked(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with a placeholder where secrets are named: fit to be checked."""
    return cast("dict[str, Any]", _replace(configuration, lambda _: MASK))


@dataclass(frozen=True, slots=True)
class Opened:
    """A configuration whose secrets are in the clear, for one call.

    `auth_secret` is the value that `auth.secret` or `api_key_name` names.
    """

    configuration: dict[str, Any]
    auth_secret: str | None = None
    values: list[str] = field(default_factory=list[str], repr=False)

    def hide(self, value: Any) -> Any:
        """Strike the secrets out of a JSON value."""
        forms = sorted(_forms(self.values), key=len, reverse=True)
        return _strike(value, forms) if forms else value

    def hide_in(self, outcome: ToolOutcome) -> ToolOutcome:
        """Strike the secrets out of what a tool answered."""
        return ToolOutcome(
            content=self.hide(outcome.content),
            is_error=outcome.is_error,
            properties=self.hide(outcome.properties),
        )

    def hide_in_error(self, error: AppError) -> AppError:
        """Return the error without the secrets."""
        return type(error)(
            self.hide(error.detail),
            errors=[FieldError(e.field, self.hide(e.message)) for e in error.errors],
            details=self.hide(error.details),
            headers=error.headers,
        )


async def open_secrets(configuration: Mapping[str, Any], read: ReadByName) -> Opened:
    """Read every secret that a configuration names."""
    values = {name: await read(name) for name in secret_names(configuration)}
    auth = _auth(configuration).get("secret") or configuration.get("api_key_name")
    return Opened(
        cast("dict[str, Any]", _replace(configuration, values.__getitem__)),
        values.get(auth) if isinstance(auth, str) else None,
        [*values.values()],
    )


def seal(configuration: Mapping[str, Any], tool: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Take the values out of a configuration that must not be stored in it.

    Returns:
        The configuration with references in their place, and the values by name of the secret.
    """
    found: dict[str, str] = {}

    def name_of(path: str, value: str) -> str:
        name = f"{PREFIX}{tool}:{path}"[:_MAX_NAME]
        found[name] = value
        return name

    def walk(node: Any, path: str, *, sensitive: bool) -> Any:
        if isinstance(node, str):
            clear = sensitive and node and not _TEMPLATE.search(node)
            return {SECRET: name_of(path, node)} if clear else node
        if isinstance(node, list):
            items = enumerate(cast("list[Any]", node))
            return [walk(item, f"{path}.{i}", sensitive=sensitive) for i, item in items]
        if isinstance(node, dict) and SECRET not in node:
            return {
                key: walk(value, f"{path}.{key}", sensitive=sensitive or is_sensitive(key))
                for key, value in cast("dict[str, Any]", node).items()
            }
        return cast("Any", node)

    sealed: dict[str, Any] = {}
    for key, value in configuration.items():
        if key == "auth" and isinstance(value, dict):
            sealed[key] = _seal_auth(cast("dict[str, Any]", value), name_of)
        elif key in _OPAQUE or key == "api_key_name":
            sealed[key] = value
        else:
            sealed[key] = walk(value, key, sensitive=is_sensitive(key))
    _refuse_in_address(sealed)
    return sealed, found


def is_template(value: str) -> bool:
    """Tell whether a text has a placeholder such as `{name}`."""
    return _TEMPLATE.search(value) is not None


def is_sensitive(key: str) -> bool:
    """Tell whether a field of this name holds a secret."""
    return _SENSITIVE.search(key) is not None and _HARMLESS.search(key) is None


def _seal_auth(auth: dict[str, Any], name_of: Callable[[str, str], str]) -> dict[str, Any]:
    given = [name for name in _AUTH_VALUES if isinstance(auth.get(name), str)]
    if len(given) != 1 or "secret" in auth:
        return auth
    rest = {key: value for key, value in auth.items() if key != given[0]}
    return {**rest, "secret": name_of("auth", auth[given[0]])}


def _refuse_in_address(configuration: Mapping[str, Any]) -> None:
    for name in _ADDRESSES:
        address = configuration.get(name)
        if not isinstance(address, str):
            continue
        try:
            fields = parse_qsl(urlsplit(address).query)
        except ValueError:
            continue
        for key, value in fields:
            if is_sensitive(key) and not _TEMPLATE.search(value):
                text = (
                    f"holds a secret in the query field '{key}'; addresses are shown and logged. "
                    "Put it into the vault and name it in 'auth' or 'headers'."
                )
                raise ToolConfigurationInvalid(
                    f"{name} {text}", errors=[FieldError(f"configuration.{name}", text)]
                )


def _auth(configuration: Mapping[str, Any]) -> dict[str, Any]:
    auth = configuration.get("auth")
    return cast("dict[str, Any]", auth) if isinstance(auth, dict) else {}


def _replace(node: Any, value_of: Callable[[str], str]) -> Any:
    if isinstance(node, Mapping):
        fields = cast("Mapping[str, Any]", node)
        if SECRET in fields:
            return value_of(_name(fields))
        return {
            key: value if key in _OPAQUE else _replace(value, value_of)
            for key, value in fields.items()
        }
    if isinstance(node, list):
        return [_replace(item, value_of) for item in cast("list[Any]", node)]
    return node


def _name(reference: Mapping[str, Any]) -> str:
    name = reference[SECRET]
    if len(reference) != 1 or not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise ToolConfigurationInvalid(
            'A secret is named as {"$secret": "name of a key in the vault"} and nothing else.'
        )
    return name


def _forms(values: Iterable[str]) -> set[str]:
    """Return every form in which a secret could come back, `Bearer x` also without its scheme."""
    plain = {part for value in values for part in (value, value.rpartition(" ")[2])}
    return {
        form
        for value in plain
        if len(value) >= _SHORTEST_HIDDEN
        for form in (value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1])
    }


def _strike(node: Any, forms: list[str]) -> Any:
    if isinstance(node, str):
        for form in forms:
            node = node.replace(form, "***")
        return node
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node).items()
        return {_strike(key, forms): _strike(value, forms) for key, value in fields}
    if isinstance(node, list):
        return [_strike(item, forms) for item in cast("list[Any]", node)]
    return node
