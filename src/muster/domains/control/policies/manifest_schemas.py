"""Request and response bodies of manifests."""

from typing import Annotated

from pydantic import BaseModel, Field

from muster.domains.control.policies.engine import Schema, Scope, Severity
from muster.kernel.schemas import In

_EXAMPLE = """name: starter
version: "1.0"
policies:
  - name: Says why
    rule_type: field_not_empty
    params: {field: purpose}
    severity: high
    scope: agent_registration
"""


class ManifestImport(In):
    """A manifest file."""

    manifest: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000_000,
            description="The manifest as YAML, in the spelling of either generation.",
            examples=[_EXAMPLE],
        ),
    ]
    dry_run: Annotated[bool, Field(description="Only say what would be made.")] = False
    replace: Annotated[
        bool, Field(description="Delete what an earlier manifest of this name has made.")
    ] = False


class ImportedPolicy(BaseModel):
    """A policy of a manifest."""

    policy_id: Annotated[str | None, Field(description="Null in a dry run.")]
    name: str
    rule_type: str
    scope: Scope
    severity: Severity
    enabled: bool


class ManifestReceipt(BaseModel):
    """What an import did."""

    name: str
    version: str
    dry_run: bool
    replaced: Annotated[int, Field(description="Policies of an earlier import that were deleted.")]
    policies: list[ImportedPolicy]


class ExportParams(BaseModel):
    """How to write a manifest."""

    generation: Annotated[
        Schema, Field(alias="schema", description="The spelling; the meaning stays the same.")
    ] = "2"
