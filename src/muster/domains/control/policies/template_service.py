"""What is done with policy templates: they are shown, applied and removed as a whole."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.policies.repository import PolicyRepository
from muster.domains.control.policies.service import PolicyService, present
from muster.domains.control.policies.template_schemas import (
    TemplateApplied,
    TemplateApply,
    TemplateOut,
    TemplatePolicy,
    TemplateRemove,
    TemplateRemoved,
)
from muster.domains.control.policies.templates import Template, find_template
from muster.kernel.live import LiveBus
from muster.platform.access import Caller


def show(template: Template) -> TemplateOut:
    """Return a template as the API shows it."""
    return TemplateOut(
        id=template.id,
        name=template.name,
        description=template.description,
        version=template.version,
        policies=[_shown(template, raw) for raw in template.policies],
    )


def _shown(template: Template, raw: Mapping[str, Any]) -> TemplatePolicy:
    policy = template.read(raw)
    return TemplatePolicy(
        name=policy.name,
        reference=raw["reference"],
        description=raw["description"],
        rule_type=policy.rule_type,
        params=dict(policy.params),
        severity=policy.severity,
        scope=policy.scope,
        enforcement=policy.effective_enforcement,
        risk_classification=policy.risk_classification,
    )


class TemplateService:
    """Applies templates and takes them back, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, live: LiveBus) -> None:
        self._policies = PolicyService(session, caller, live)
        self._stored = PolicyRepository(session, caller)

    async def apply(self, template_id: str, body: TemplateApply) -> TemplateApplied:
        """Make the policies of a template that are not there yet, for an agent or for all."""
        template = find_template(template_id)
        await self._policies.require_agent(body.agent_id)
        stored = list(await self._stored.of_template(template.id, body.agent_id))
        known = {policy.name for policy in stored}
        new = [raw for raw in template.policies if raw["name"] not in known]
        for raw in new:
            policy = template.read(raw, agent_id=body.agent_id, enabled=body.enabled)
            stored.append(await self._policies.add(policy, source_template=template.id))
        return TemplateApplied(
            template_id=template.id,
            agent_id=body.agent_id,
            created=len(new),
            policies=[present(policy) for policy in stored],
        )

    async def remove(self, template_id: str, body: TemplateRemove) -> TemplateRemoved:
        """Delete what the template has made for an agent, or for all."""
        template = find_template(template_id)
        stored = await self._stored.of_template(template.id, body.agent_id)
        for policy in stored:
            await self._policies.delete(policy.id)
        return TemplateRemoved(template_id=template.id, agent_id=body.agent_id, removed=len(stored))
