"""HTTP surface of prompt templates."""

from typing import Annotated

from fastapi import Depends, Path, Query

from muster.domains.catalogue.prompts.errors import (
    PromptTemplateInactive,
    PromptTemplateNameTaken,
    PromptTemplateNotFound,
    PromptTemplateVersionNotFound,
)
from muster.domains.catalogue.prompts.schemas import (
    PromptTemplateCreate,
    PromptTemplateList,
    PromptTemplateOut,
    PromptTemplatePatch,
    PromptTemplateVersionOut,
    RenderIn,
    RenderOut,
)
from muster.domains.catalogue.prompts.service import PromptTemplateService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/templates", tag="Prompt templates")

CanRead = Annotated[Caller, requires(Scope.TEMPLATES_READ)]
CanWrite = Annotated[Caller, requires(Scope.TEMPLATES_WRITE)]


async def _reader(caller: CanRead, session: Reading) -> PromptTemplateService:
    return PromptTemplateService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> PromptTemplateService:
    return PromptTemplateService(session, caller)


Reader = Annotated[PromptTemplateService, Depends(_reader)]
Writer = Annotated[PromptTemplateService, Depends(_writer)]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the version.")]

_MISSING = problems(PromptTemplateNotFound)
_CHANGES = problems(PromptTemplateNotFound, PromptTemplateNameTaken)
_VERSIONS = problems(PromptTemplateNotFound, PromptTemplateVersionNotFound)


@router.get("", response_model=Page[PromptTemplateOut])
async def list_prompt_templates(
    templates: Reader, params: Annotated[PromptTemplateList, Query()]
) -> Rows[PromptTemplateOut]:
    """List the prompt templates of the project, newest first."""
    return await templates.list(params)


@router.post("", status_code=201, responses=problems(PromptTemplateNameTaken))
async def create_prompt_template(
    templates: Writer, body: PromptTemplateCreate
) -> PromptTemplateOut:
    """Keep a prompt template.

    Variables that are declared are kept as they are; `configuration_status` tells which
    placeholders of the text were not declared, and which variables the text does not use. Without
    any they are read from the text.
    """
    return await templates.create(body)


# Before the path with an id: a template may be named `a/versions`.
@router.get("/by-name/{name:path}", responses=_MISSING)
async def get_prompt_template_by_name(templates: Reader, name: str) -> PromptTemplateOut:
    """Get the prompt template with exactly this name."""
    return await templates.named(name)


@router.get("/{template_id}", responses=_MISSING)
async def get_prompt_template(templates: Reader, template_id: str) -> PromptTemplateOut:
    """Get a prompt template."""
    return await templates.get(template_id)


@router.put("/{template_id}", responses=_CHANGES)
async def update_prompt_template(
    templates: Writer, template_id: str, body: PromptTemplatePatch
) -> PromptTemplateOut:
    """Change the given fields of a prompt template; a change is a new version."""
    return await templates.update(template_id, body)


@router.patch("/{template_id}", responses=_CHANGES)
async def patch_prompt_template(
    templates: Writer, template_id: str, body: PromptTemplatePatch
) -> PromptTemplateOut:
    """Change the given fields of a prompt template; a change is a new version."""
    return await templates.update(template_id, body)


@router.delete("/{template_id}", status_code=204, responses=_MISSING)
async def delete_prompt_template(templates: Writer, template_id: str) -> None:
    """Delete a prompt template and all its versions."""
    await templates.delete(template_id)


@router.get(
    "/{template_id}/versions", response_model=Page[PromptTemplateVersionOut], responses=_MISSING
)
async def list_prompt_template_versions(
    templates: Reader, template_id: str, params: Annotated[ListParams, Query()]
) -> Rows[PromptTemplateVersionOut]:
    """List the versions of a prompt template, newest first."""
    return await templates.versions(template_id, params)


@router.get("/{template_id}/versions/{version}", responses=_VERSIONS)
async def get_prompt_template_version(
    templates: Reader, template_id: str, version: Version
) -> PromptTemplateVersionOut:
    """Get one version of a prompt template."""
    return await templates.version(template_id, version)


@router.post(
    "/{template_id}/versions/{version}/restore",
    responses=problems(
        PromptTemplateNotFound, PromptTemplateVersionNotFound, PromptTemplateNameTaken
    ),
)
async def restore_prompt_template_version(
    templates: Writer, template_id: str, version: Version
) -> PromptTemplateOut:
    """Make an earlier version the present one; it becomes a new version."""
    return await templates.restore(template_id, version)


@router.post(
    "/{template_id}/render", responses=problems(PromptTemplateNotFound, PromptTemplateInactive)
)
async def render_prompt_template(templates: Reader, template_id: str, body: RenderIn) -> RenderOut:
    """Fill the placeholders of a prompt template; nothing is stored.

    A 422 `template_variables_missing` names the placeholders without a value. Values for which the
    text has no placeholder are passed over.
    """
    return await templates.render(template_id, body.variables)
