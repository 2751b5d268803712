"""How a Model Context Protocol server is reached: as a child process or by address."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from muster.adapters.tools.base import ToolConfigurationInvalid
from muster.adapters.tools.exchange import FRAMING_HEADERS, HeaderName
from muster.kernel.errors import FieldError

_SHORTEST_SECRET = 6
_OTHER_NAMES = {"streamable": "http", "streamable_http": "http", "streamable-http": "http"}


class McpConfiguration(BaseModel):
    """A server. `transport` follows from `command` or `url` when it is absent.

    Whether a command may be started at all is for the caller to decide, who knows who asks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    transport: Literal["stdio", "http"] = Field(
        default="http", description="Streamable HTTP, or stdio."
    )
    command: str | None = Field(
        default=None, min_length=1, description="stdio: the program to start."
    )
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default={}, description="stdio: added to PATH, HOME and LANG.")
    cwd: str | None = None
    url: str | None = Field(default=None, description="http: the address of the endpoint.")
    headers: dict[HeaderName, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _infer(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            given: dict[str, Any] = {str(key): value for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            name = given.get("transport")
            if name is None:
                given["transport"] = "stdio" if given.get("command") else "http"
            elif isinstance(name, str):
                given["transport"] = _OTHER_NAMES.get(name, name)
            return given
        return data

    @field_validator("headers")
    @classmethod
    def _sound_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in FRAMING_HEADERS or re.search(r"[\r\n\x00]", value):
                raise ValueError(f"the header '{name}' cannot be sent")
        return headers

    @model_validator(mode="after")
    def _complete(self) -> "McpConfiguration":
        if self.transport == "stdio" and (not self.command or self.url):
            raise ValueError("a stdio server needs 'command' and no 'url'")
        if self.transport == "http" and (not self.url or self.command):
            raise ValueError("an http server needs 'url' and no 'command'")
        if any("\x00" in text for text in (self.command or "", *self.args, *self.env.values())):
            raise ValueError("the command must not contain null characters")
        return self

    @classmethod
    def parse(cls, configuration: Mapping[str, Any]) -> "McpConfiguration":
        """Check a stored configuration; every fault is named by its field."""
        try:
            return cls.model_validate(dict(configuration))
        except ValidationError as error:
            faults = [
                FieldError(
                    ".".join(str(part) for part in fault["loc"]) or "configuration",
                    fault["msg"].removeprefix("Value error, "),
                )
                for fault in error.errors(include_url=False, include_input=False)
            ]
            text = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
            raise ToolConfigurationInvalid(
                f"The MCP server's configuration is not valid: {text}.", errors=faults
            ) from None

    @property
    def label(self) -> str:
        """How messages name the server: nothing that may hold a secret."""
        if self.transport == "stdio":
            return f"The MCP server '{(self.command or '').rpartition('/')[2]}'"
        return f"The MCP server at {(self.url or '').partition('?')[0]}"

    @property
    def hidden(self) -> list[str]:
        """Values that must not appear in messages."""
        values = [*self.env.values(), *self.headers.values()]
        return [value for value in values if len(value) >= _SHORTEST_SECRET]

    def key(self, partition: str) -> str:
        """A digest under which a live session of this very server is found again."""
        text = json.dumps([partition, self.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
