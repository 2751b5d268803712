"""Policy templates: frameworks that come with the product."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import yaml

from muster.domains.control.policies import engine
from muster.domains.control.policies.errors import TemplateNotFound


@dataclass(frozen=True, slots=True)
class Template:
    """A template; `policies` as they are written, each with what it refers to."""

    id: str
    name: str
    description: str
    version: str
    policies: tuple[Mapping[str, Any], ...]

    def read(self, raw: Mapping[str, Any], **fields: Any) -> engine.Policy:
        """Return one of the policies as the engine reads it."""
        written = {name: value for name, value in raw.items() if name != "reference"}
        described = f"{raw['description']} ({raw['reference']})"
        return engine.load_policy({**written, "description": described, **fields})


@cache
def policy_templates() -> Mapping[str, Template]:
    """Return all templates by id, in the order of their ids."""
    folder = files("muster.domains.control.policies") / "frameworks"
    found = [_read(file.read_text()) for file in folder.iterdir() if file.name.endswith(".yaml")]
    return {template.id: template for template in sorted(found, key=lambda t: t.id)}


def _read(text: str) -> Template:
    raw = cast("dict[str, Any]", yaml.safe_load(text))
    policies: list[Mapping[str, Any]] = raw.pop("policies")
    return Template(policies=tuple(policies), **raw)


def find_template(template_id: str) -> Template:
    """Return a template, or raise `TemplateNotFound`."""
    template = policy_templates().get(template_id)
    if template is None:
        raise TemplateNotFound(f"There are {', '.join(policy_templates())}.")
    return template
