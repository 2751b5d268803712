"""What superadmins do with access rules. Knows nothing of HTTP."""

from collections.abc import Sequence

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.access_rules.deciding import Verdict
from muster.domains.control.access_rules.enforcing import AccessRules, announce
from muster.domains.control.access_rules.errors import AccessRuleInvalid
from muster.domains.control.access_rules.events import (
    AccessRuleCreated,
    AccessRuleDeleted,
    AccessRuleUpdated,
)
from muster.domains.control.access_rules.models import AccessRule
from muster.domains.control.access_rules.repository import AccessRuleRepository
from muster.domains.control.access_rules.resources import Catalogues, misnamed
from muster.domains.control.access_rules.schemas import (
    AccessAnswer,
    AccessQuestion,
    AccessRuleCreate,
    AccessRuleList,
    AccessRuleOut,
    AccessRulePatch,
    Reason,
    RulingOut,
)
from muster.domains.control.access_rules.vocabulary import (
    ACTIONS,
    EFFECTS,
    RESOURCE_TYPES,
    ROLES,
    SCOPE_TYPES,
)
from muster.kernel.errors import FieldError
from muster.kernel.live import LiveBus
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller

_CONTENT = ("scope_type", "scope_id", "resource_type", "resource_id", "effect", "action")


class AccessRuleService:
    """Use cases of access rules, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, live: LiveBus, rules: AccessRules
    ) -> None:
        self._session, self._caller = session, caller
        self._live, self._rules = live, rules
        self._repository = AccessRuleRepository(session)

    async def list(self, params: AccessRuleList) -> Rows[AccessRuleOut]:
        found = await self._repository.search(params)
        shown = [AccessRuleOut.of(row) for row in found.items]
        return Rows(shown, found.total, found.limit, found.offset, found.has_more)

    async def get(self, rule_id: str) -> AccessRuleOut:
        return AccessRuleOut.of(await self._repository.get(rule_id))

    async def create(self, body: AccessRuleCreate) -> AccessRuleOut:
        """Make a rule; it holds at once."""
        row = AccessRule(
            scope_type=body.scope_type,
            scope_id=body.scope_id,
            resource_type=body.resource_type,
            resource_id=body.resource_id,
            effect=body.effect,
            action=body.rule.action,
            created_by_id=self._caller.id,
        )
        await self._require_sense(row)
        await self._repository.add(row)
        events.record(self._session, self._caller, AccessRuleCreated(**_facts(row)))
        announce(self._session, self._live)
        return AccessRuleOut.of(row)

    async def update(self, rule_id: str, body: AccessRulePatch) -> AccessRuleOut:
        """Change the given fields of a rule; the change holds at once."""
        row = await self._repository.get(rule_id)
        given = {name: getattr(body, name) for name in _CONTENT if name != "action"}
        given["action"] = MISSING if body.rule is MISSING else body.rule.action
        changes = {
            name: value
            for name, value in given.items()
            if value is not MISSING and value != getattr(row, name)
        }
        if not changes:
            return AccessRuleOut.of(row)
        with self._session.no_autoflush:
            for name, value in changes.items():
                setattr(row, name, value)
            await self._require_sense(row)
        await self._repository.flush()
        events.record(self._session, self._caller, AccessRuleUpdated(**_facts(row)))
        announce(self._session, self._live)
        return AccessRuleOut.of(row)

    async def replace(self, rule_id: str, body: AccessRuleCreate) -> AccessRuleOut:
        """Let a rule say something else."""
        return await self.update(rule_id, AccessRulePatch.model_validate(body.model_dump()))

    async def delete(self, rule_id: str) -> None:
        """Delete a rule; it no longer holds at once."""
        row = await self._repository.get(rule_id)
        await self._repository.delete(row)
        events.record(self._session, self._caller, AccessRuleDeleted(**_facts(row)))
        announce(self._session, self._live)

    async def check(self, question: AccessQuestion, catalogues: Catalogues) -> AccessAnswer:
        """Say what the rules come to for a user, without anything being used."""
        resource_type = _known("resource_type", question.resource_type, RESOURCE_TYPES)
        _known("action", question.action, ACTIONS)
        if not await self._repository.user_exists(question.user_id):
            raise _invalid("user_id", f"there is no user {question.user_id!r}")
        if not await self._repository.project_exists(question.project_id):
            raise _invalid("project_id", f"there is no project {question.project_id!r}")
        named = await catalogues.ids_of(question.project_id, resource_type, question.resource_id)
        verdict = await self._rules.judge_starter(
            question.user_id,
            question.project_id,
            resource_type,  # pyright: ignore[reportArgumentType]
            named,
            session=self._session,
        )
        return AccessAnswer(
            allowed=verdict.allowed,
            rules=[RulingOut.of(rule) for rule in verdict.ruling],
            reason=_reason(verdict),
        )

    async def _require_sense(self, row: AccessRule) -> None:
        _known("scope_type", row.scope_type, SCOPE_TYPES)
        _known("resource_type", row.resource_type, RESOURCE_TYPES)
        _known("effect", row.effect, EFFECTS)
        _known("rule.action", row.action, ACTIONS)
        if problem := misnamed(row.resource_type, row.resource_id):
            raise _invalid("resource_id", problem)
        scope_id = row.scope_id
        if row.scope_type == "role":
            _known("scope_id", scope_id, ROLES)
        elif row.scope_type == "user" and not await self._repository.user_exists(scope_id):
            raise _invalid("scope_id", f"there is no user {scope_id!r}; GET /users lists them")
        elif row.scope_type == "group" and not await self._repository.project_exists(scope_id):
            raise _invalid("scope_id", f"there is no project {scope_id!r}; a group is a project")


def _known(field: str, word: str, words: Sequence[str]) -> str:
    if word not in words:
        raise _invalid(field, f"{word!r} is none of {', '.join(words)}")
    return word


def _invalid(field: str, text: str) -> AccessRuleInvalid:
    return AccessRuleInvalid(f"{field}: {text}.", errors=[FieldError(field, text)])


def _facts(row: AccessRule) -> dict[str, str]:
    return {"access_rule_id": row.id} | {name: getattr(row, name) for name in _CONTENT}


def _reason(verdict: Verdict) -> Reason:
    if verdict.allowed:
        return "allowed" if verdict.ruling else "no_rule"
    return "denied" if verdict.denied_outright else "not_allowed"
