"""The bundles that ship with the product: what is in one, and where they are read from."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["agent", "prompt", "task", "crew", "workflow", "trigger"]
KINDS: tuple[Kind, ...] = ("agent", "prompt", "task", "crew", "workflow", "trigger")
"""In the order in which they are made: a thing refers to those before it only."""

OFFLINE = "builtin/extractive"
"""The model of a bundle for which none is named: it needs no network."""

Value = str | int | float | bool


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Written):
    """Something that can be chosen when a bundle is installed."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    description: str
    default: Value
    choices: list[Value] = []

    @property
    def type(self) -> str:
        """Return what a value of it is: boolean, number or text."""
        if isinstance(self.default, bool):
            return "boolean"
        return "number" if isinstance(self.default, int | float) else "text"


class Example(_Written):
    """A run to try a bundle with: the body of `POST /executions`.

    `approvals` counts the questions that wait for a person before it ends.
    """

    execution: dict[str, Any]
    approvals: int = 0


class Bundle(_Written):
    """A template: things that belong together and are installed as a whole.

    In all texts `[[name]]` is the value of a parameter and `[[kind:name]]` the name that a thing of
    the bundle gets in the project; the things are written as requests would send them.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
    name: str
    category: str
    summary: Annotated[str, Field(max_length=200)]
    version: str
    description: str
    parameters: list[Parameter] = []
    agents: list[dict[str, Any]] = []
    prompts: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    crews: list[dict[str, Any]] = []
    workflows: list[dict[str, Any]] = []
    triggers: list[dict[str, Any]] = []
    example: Example

    def written(self, kind: Kind) -> list[dict[str, Any]]:
        """Return the things of a kind as they are written."""
        things: list[dict[str, Any]] = getattr(self, f"{kind}s")
        return things


@cache
def bundles() -> Mapping[str, Bundle]:
    """Return all bundles by id, in the order of their names."""
    folder = files("muster.domains.work.marketplace") / "bundles"
    found = [
        Bundle.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    ]
    return {bundle.id: bundle for bundle in sorted(found, key=lambda one: one.name)}
