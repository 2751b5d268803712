"""HTTP surface of policies."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from muster.domains.catalogue.agents import AgentInactive, AgentNotFound
from muster.domains.control.policies.catalogue import rules
from muster.domains.control.policies.dry_run import DryRuns
from muster.domains.control.policies.dry_run_schemas import DryRunReport, DryRunRequest
from muster.domains.control.policies.errors import (
    ManifestImported,
    NothingToExport,
    PolicyNotFound,
    PolicyRefused,
    PolicyUnreadable,
)
from muster.domains.control.policies.manifest_schemas import (
    ExportParams,
    ManifestImport,
    ManifestReceipt,
)
from muster.domains.control.policies.manifests import ManifestService
from muster.domains.control.policies.models import PolicyVersion
from muster.domains.control.policies.schemas import (
    PolicyCreate,
    PolicyList,
    PolicyOut,
    PolicyUpdate,
    PolicyVersionOut,
    RuleOut,
)
from muster.domains.control.policies.service import PolicyService
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, CallerKind, Scope, requires

router = Router("/policies", tag="Policies")

CanRead = Annotated[Caller, requires(Scope.POLICIES_READ)]
CanWrite = Annotated[Caller, requires(Scope.POLICIES_WRITE)]


async def _reader(connection: HTTPConnection, session: Reading, caller: CanRead) -> PolicyService:
    return PolicyService(session, caller, connection.app.state.live)


async def _writer(connection: HTTPConnection, caller: CanWrite, session: Writing) -> PolicyService:
    return PolicyService(session, caller, connection.app.state.live)


Reader = Annotated[PolicyService, Depends(_reader)]
Writer = Annotated[PolicyService, Depends(_writer)]


async def _manifest_reader(
    connection: HTTPConnection, session: Reading, caller: CanRead
) -> ManifestService:
    return ManifestService(session, caller, connection.app.state.live)


async def _manifest_writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing
) -> ManifestService:
    return ManifestService(session, caller, connection.app.state.live)


ManifestReader = Annotated[ManifestService, Depends(_manifest_reader)]
ManifestWriter = Annotated[ManifestService, Depends(_manifest_writer)]


@router.get(
    "",
    response_model=Page[PolicyOut] | list[PolicyOut],
    responses=problems(AgentInactive, AgentNotFound),
)
async def list_policies(
    policies: Reader, caller: CanRead, params: Annotated[PolicyList, Query()]
) -> Rows[PolicyOut] | list[PolicyOut]:
    """List policies, newest first.

    A key of kind `agent` names its agent by `agent_key` and gets a bare array of the policies that
    bind it, by `limit` and `skip`; everybody else gets pages.
    """
    if caller.kind is not CallerKind.AGENT_KEY:
        return await policies.list(params)
    if params.agent_key is None:
        message = "Give the agent_key of your agent."
        raise Invalid(message, errors=[FieldError("agent_key", message)])
    return (await policies.list(params)).items


@router.post("", status_code=201, responses=problems(PolicyRefused))
async def create_policy(policies: Writer, body: PolicyCreate) -> PolicyOut:
    """Make a policy; it holds from the next step on, in every process.

    What the rule does not know is refused, with its place in `errors`.
    """
    return await policies.create(body.raw())


@router.get("/rules")
async def list_policy_rules(caller: CanRead) -> list[RuleOut]:
    """List the rules that policies can name, with what they take."""
    del caller
    return rules()


@router.post("/import", status_code=201, responses=problems(PolicyRefused, ManifestImported))
async def import_policies(manifests: ManifestWriter, body: ManifestImport) -> ManifestReceipt:
    """Make the policies of a manifest, in one commit: all of them, or none.

    What is wrong is named with its place and line in the file.
    """
    return await manifests.take_in(body)


@router.get(
    "/export",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"application/yaml": {}}},
        **problems(NothingToExport, PolicyUnreadable),
    },
)
async def export_policies(
    manifests: ManifestReader, params: Annotated[ExportParams, Query()]
) -> PlainTextResponse:
    """Get all policies of the project as a manifest that `import` reads."""
    text = await manifests.give_out(params.generation)
    return PlainTextResponse(text, media_type="application/yaml")


@router.post("/dry-run", responses=problems(PolicyRefused, PolicyUnreadable))
async def dry_run_policies(
    connection: HTTPConnection, caller: CanWrite, body: DryRunRequest
) -> DryRunReport:
    """Judge the newest runs of a period again: what would have been blocked, step by step.

    By the stored enabled policies, or by `policies` that are not stored. Nothing is recorded.
    """
    dry_runs: DryRuns = connection.app.state.dry_runs
    return await dry_runs.run(caller, body)


@router.get("/{policy_id}", responses=problems(PolicyNotFound))
async def get_policy(policies: Reader, policy_id: str) -> PolicyOut:
    """Get a policy."""
    return await policies.get(policy_id)


@router.put("/{policy_id}", responses=problems(PolicyNotFound, PolicyRefused))
async def update_policy(policies: Writer, policy_id: str, body: PolicyUpdate) -> PolicyOut:
    """Change the given fields of a policy; the others keep their values."""
    return await policies.update(policy_id, body.raw())


@router.patch("/{policy_id}", responses=problems(PolicyNotFound, PolicyRefused))
async def patch_policy(policies: Writer, policy_id: str, body: PolicyUpdate) -> PolicyOut:
    """Change the given fields of a policy; the others keep their values."""
    return await policies.update(policy_id, body.raw())


@router.delete("/{policy_id}", status_code=204, responses=problems(PolicyNotFound))
async def delete_policy(policies: Writer, policy_id: str) -> None:
    """Delete a policy. Incidents that name it stay."""
    await policies.delete(policy_id)


@router.post("/{policy_id}/enable", responses=problems(PolicyNotFound))
async def enable_policy(policies: Writer, policy_id: str) -> PolicyOut:
    """Let a policy hold."""
    return await policies.turn(policy_id, enabled=True)


@router.post("/{policy_id}/disable", responses=problems(PolicyNotFound))
async def disable_policy(policies: Writer, policy_id: str) -> PolicyOut:
    """Let a policy hold no more; it stays as it is otherwise."""
    return await policies.turn(policy_id, enabled=False)


@router.get(
    "/{policy_id}/versions",
    response_model=Page[PolicyVersionOut],
    responses=problems(PolicyNotFound),
)
async def list_policy_versions(
    policies: Reader, policy_id: str, params: Annotated[ListParams, Query()]
) -> Rows[PolicyVersion]:
    """List the states that a policy has had, newest first."""
    return await policies.versions(policy_id, params)
