"""The gate's check of access rules."""

from collections.abc import Collection, Sequence

from muster.domains.control.access_rules.enforcing import AccessRules, ids_of, refusal
from muster.domains.control.access_rules.vocabulary import ResourceType
from muster.domains.control.gate import MODEL_KIND, Action, Finding, IntendedStep, StatelessCheck


class AccessCheck(StatelessCheck):
    """Refuses steps with models, tools and agents that whoever started the run may not use."""

    name = "access_rules"

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules

    async def judge(self, step: IntendedStep) -> Sequence[Finding]:
        findings: list[Finding] = []
        if step.agent_id is not None:
            findings += await self._judge(step, "agent", (step.agent_id,))
        if step.kind == MODEL_KIND:
            findings += await self._judge(step, "model", step.resource_ids)
        elif step.tool is not None:
            findings += await self._judge(step, "tool", step.resource_ids)
        return findings

    async def _judge(
        self, step: IntendedStep, resource_type: ResourceType, resource_ids: Collection[str]
    ) -> Sequence[Finding]:
        verdict = await self._rules.judge_starter(
            step.started_by_id, step.project_id, resource_type, resource_ids
        )
        if verdict.allowed:
            return ()
        return (
            Finding(
                check=self.name,
                action=Action.BLOCK,
                code="access_denied_by_rule",
                message=refusal(verdict, resource_type),
                details={"resource_type": resource_type, "rules": ids_of(verdict)},
                # A model can do without a tool; nothing can be done without model or agent.
                ends_run=resource_type != "tool",
            ),
        )
