"""HTTP surface of policy templates."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from muster.domains.control.policies.errors import PolicyRefused, TemplateNotFound
from muster.domains.control.policies.template_schemas import (
    TemplateApplied,
    TemplateApply,
    TemplateOut,
    TemplateRemove,
    TemplateRemoved,
)
from muster.domains.control.policies.template_service import TemplateService, show
from muster.domains.control.policies.templates import find_template, policy_templates
from muster.kernel.http import Router, Writing, problems
from muster.platform.access import Caller, Scope, requires

templates_router = Router("/policy-templates", tag="Policies")

CanRead = Annotated[Caller, requires(Scope.POLICIES_READ)]
CanWrite = Annotated[Caller, requires(Scope.POLICIES_WRITE)]


async def _writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing
) -> TemplateService:
    return TemplateService(session, caller, connection.app.state.live)


Writer = Annotated[TemplateService, Depends(_writer)]


@templates_router.get("")
async def list_policy_templates(caller: CanRead) -> list[TemplateOut]:
    """List the policy templates that come with the product."""
    del caller
    return [show(template) for template in policy_templates().values()]


@templates_router.get("/{template_id}", responses=problems(TemplateNotFound))
async def get_policy_template(caller: CanRead, template_id: str) -> TemplateOut:
    """Get a policy template."""
    del caller
    return show(find_template(template_id))


@templates_router.post("/{template_id}/apply", responses=problems(TemplateNotFound, PolicyRefused))
async def apply_policy_template(
    writer: Writer, template_id: str, body: TemplateApply | None = None
) -> TemplateApplied:
    """Make the policies of a template, for one agent or for all.

    Those that are there already stay as they are, changed ones too: to apply it again is safe.
    """
    return await writer.apply(template_id, body or TemplateApply())


@templates_router.post("/{template_id}/remove", responses=problems(TemplateNotFound))
async def remove_policy_template(
    writer: Writer, template_id: str, body: TemplateRemove | None = None
) -> TemplateRemoved:
    """Delete the policies that the template has made for the same agent, or for all; no others."""
    return await writer.remove(template_id, body or TemplateRemove())
