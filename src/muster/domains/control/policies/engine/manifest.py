"""Manifests: YAML files of policies, read strictly and written in either spelling."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import yaml

from muster.domains.control.policies.engine.context import Schema
from muster.domains.control.policies.engine.errors import PolicyInvalid, Problem
from muster.domains.control.policies.engine.policy import Policy, read_policy, read_schema
from muster.domains.control.policies.engine.rules import RULES
from muster.kernel.documents import Document, DocumentBroken, read_document

MAX_POLICIES: Final = 1_000
_LICENCE = re.compile(r"#\s*SPDX-License-Identifier:\s*(\S+)\s*\n")
_PART = re.compile(r"[^.\[\]]+")
"""One step of a path such as `policies[2].params.field`."""
_FIELDS = frozenset({"name", "description", "version", "schema", "policies"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A named bundle of policies; `licence` is that of the SPDX comment in the first line."""

    name: str
    version: str
    policies: tuple[Policy, ...]
    description: str = ""
    licence: str | None = None


def load_manifest(text: str) -> Manifest:
    """Read a manifest; raises `PolicyInvalid` with every problem and its line.

    Both generations' spellings are understood. `schema: "3"` in the manifest or in a policy
    gives rules the meaning of the third; a policy's id is its position unless it has one.
    """
    document = _parse(text)
    problems: list[Problem] = []
    manifest = _read(document.value, problems)
    if manifest is None or problems:
        raise PolicyInvalid([_located(problem, document) for problem in problems])
    licence = _LICENCE.match(text)
    return replace(manifest, licence=licence[1] if licence else None)


def dump_manifest(manifest: Manifest, *, generation: Schema = "2") -> str:
    """Write a manifest as YAML in the spelling of a generation; the meaning stays the same."""
    schemas = {policy.schema for policy in manifest.policies}
    common: Schema = "3" if schemas == {"3"} else "2"
    document: dict[str, Any] = {"name": manifest.name, "description": manifest.description}
    document["version"] = manifest.version
    if common != "2":
        document["schema"] = common
    document["policies"] = [
        _written(policy, generation, common, position)
        for position, policy in enumerate(manifest.policies)
    ]
    head = f"# SPDX-License-Identifier: {manifest.licence}\n" if manifest.licence else ""
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return head + body


def spell_params(rule_type: str, params: Mapping[str, Any], generation: Schema) -> dict[str, Any]:
    """Return a policy's parameters under a generation's names, conditions included."""
    names = {param.name: param for param in RULES[rule_type].params}
    spelled: dict[str, Any] = {}
    for name, value in params.items():
        param = names[name]
        if param.type == "condition":
            value = _spell_condition(value, generation)
        elif param.type == "conditions":
            value = [_spell_condition(item, generation) for item in value]
        spelled[param.third_name if generation == "3" else name] = value
    return spelled


def _spell_condition(condition: Mapping[str, Any], generation: Schema) -> dict[str, Any]:
    rule_type: str = condition["rule_type"]
    params = spell_params(rule_type, condition["params"], generation)
    return {"rule_type": rule_type, "params": params}


def _written(policy: Policy, generation: Schema, common: Schema, position: int) -> dict[str, Any]:
    written: dict[str, Any] = {"name": policy.name}
    if policy.id != str(position):
        written["id"] = policy.id
    if policy.description:
        written["description"] = policy.description
    written["rule_type"] = policy.rule_type
    written["params"] = spell_params(policy.rule_type, policy.params, generation)
    written["severity"] = policy.severity
    written["enforcement_point" if generation == "3" else "scope"] = policy.scope
    if policy.environments:
        written["environments"] = list(policy.environments)
    if not policy.enabled:
        written["enabled"] = False
    for key in ("agent_id", "risk_classification", "enforcement"):
        if getattr(policy, key) is not None:
            written[key] = getattr(policy, key)
    if policy.schema != common:
        written["schema"] = policy.schema
    return written


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts twice: an alias would not be read again."""
        del data
        return True


def _parse(text: str) -> Document:
    try:
        document = read_document(text)
    except DocumentBroken as error:
        raise PolicyInvalid([Problem("", error.message, error.line)]) from None
    if document.value is None:
        raise PolicyInvalid([Problem("", "is empty")])
    return document


def _read(document: Any, problems: list[Problem]) -> Manifest | None:
    if not isinstance(document, dict):
        problems.append(Problem("", "must be an object with name, version and policies"))
        return None
    fields = cast("dict[str, Any]", document)
    problems.extend(
        Problem(key, "is no field of a manifest") for key in fields if key not in _FIELDS
    )
    schema = read_schema(fields.get("schema", "2"))
    if schema is None:
        problems.append(Problem("schema", "must be 2 or 3"))
    problems.extend(
        Problem(key, "must be a string that is not blank")
        for key in ("name", "version")
        if not isinstance(fields.get(key), str) or not fields[key].strip()
    )
    if not isinstance(fields.get("description", ""), str):
        problems.append(Problem("description", "must be text"))
    policies = _policies(fields.get("policies"), schema or "2", problems)
    if problems:
        return None
    return Manifest(
        name=fields["name"],
        version=fields["version"],
        description=fields.get("description", ""),
        policies=tuple(policies),
    )


def _policies(raw: Any, schema: Schema, problems: list[Problem]) -> list[Policy]:
    items = cast("list[Any]", raw if isinstance(raw, list) else [])
    if not 0 < len(items) <= MAX_POLICIES:
        problems.append(Problem("policies", f"must be a list of 1 to {MAX_POLICIES} policies"))
        return []
    found: list[Policy] = []
    seen: set[str] = set()
    for position, item in enumerate(items):
        path = f"policies[{position}]"
        policy, wrong = read_policy(item, path=path, schema=schema, default_id=str(position))
        problems.extend(wrong)
        if policy is None:
            continue
        if policy.id in seen:
            problems.append(Problem(f"{path}.id", "is the id of another policy"))
        seen.add(policy.id)
        found.append(policy)
    return found


def _located(problem: Problem, document: Document) -> Problem:
    """Add the line of the nearest place that is written in the file."""
    path = tuple(_PART.findall(problem.path))
    while path and path not in document.places:
        path = path[:-1]
    return replace(problem, line=document.places[path][0]) if path else problem
