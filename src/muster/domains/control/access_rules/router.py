"""HTTP surface of access rules."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.control.access_rules.errors import (
    AccessRuleInvalid,
    AccessRuleNotFound,
    AccessRuleTaken,
)
from muster.domains.control.access_rules.resources import Catalogues
from muster.domains.control.access_rules.schemas import (
    AccessAnswer,
    AccessQuestion,
    AccessRuleCreate,
    AccessRuleEnvelope,
    AccessRuleList,
    AccessRulePage,
    AccessRulePatch,
)
from muster.domains.control.access_rules.service import AccessRuleService
from muster.kernel.http import Reading, Router, Writing, problems
from muster.platform.access import Caller, Scope, requires

router = Router("/policy/rules", tag="Access rules")

CanRead = Annotated[Caller, requires(Scope.ACCESS_RULES_READ)]
CanWrite = Annotated[Caller, requires(Scope.ACCESS_RULES_WRITE)]
CanCheck = Annotated[Caller, requires(Scope.ACCESS_RULES_CHECK)]


async def _reader(
    connection: HTTPConnection, session: Reading, caller: CanRead
) -> AccessRuleService:
    state = connection.app.state
    return AccessRuleService(session, caller, state.live, state.access_rules)


async def _checker(
    connection: HTTPConnection, session: Reading, caller: CanCheck
) -> AccessRuleService:
    state = connection.app.state
    return AccessRuleService(session, caller, state.live, state.access_rules)


async def _writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing
) -> AccessRuleService:
    state = connection.app.state
    return AccessRuleService(session, caller, state.live, state.access_rules)


Reader = Annotated[AccessRuleService, Depends(_reader)]
Checker = Annotated[AccessRuleService, Depends(_checker)]
Writer = Annotated[AccessRuleService, Depends(_writer)]

_CHANGES = problems(AccessRuleNotFound, AccessRuleInvalid, AccessRuleTaken)


@router.get("")
async def list_access_rules(
    rules: Reader, params: Annotated[AccessRuleList, Query()]
) -> AccessRulePage:
    """List access rules, newest first."""
    rows = await rules.list(params)
    return AccessRulePage(
        rules=rows.items,
        items=rows.items,
        total=rows.total or 0,
        limit=rows.limit,
        offset=rows.offset,
        has_more=rows.has_more,
    )


@router.post("", status_code=201, responses=problems(AccessRuleInvalid, AccessRuleTaken))
async def create_access_rule(rules: Writer, body: AccessRuleCreate) -> AccessRuleEnvelope:
    """Say who may use a model, an agent or a tool, or who may not, on the whole platform.

    Without a rule about a thing everybody may use it who otherwise may. As soon as one allows it to
    somebody, only those may whom one allows. A rule that denies wins. Superadmins are bound too.
    """
    return AccessRuleEnvelope(rule=await rules.create(body))


@router.post("/check", responses=problems(AccessRuleInvalid))
async def check_access(
    connection: HTTPConnection, rules: Checker, body: AccessQuestion
) -> AccessAnswer:
    """Ask what the rules come to for a user who would use a thing; nothing is used.

    Models and tools may be named as agents of the project name them.
    """
    state = connection.app.state
    return await rules.check(body, Catalogues(state.models, state.tools))


@router.get("/{rule_id}", responses=problems(AccessRuleNotFound))
async def get_access_rule(rules: Reader, rule_id: str) -> AccessRuleEnvelope:
    """Get an access rule."""
    return AccessRuleEnvelope(rule=await rules.get(rule_id))


@router.put("/{rule_id}", responses=_CHANGES)
async def replace_access_rule(
    rules: Writer, rule_id: str, body: AccessRuleCreate
) -> AccessRuleEnvelope:
    """Replace an access rule; it holds at once, also for runs that are under way."""
    return AccessRuleEnvelope(rule=await rules.replace(rule_id, body))


@router.patch("/{rule_id}", responses=_CHANGES)
async def update_access_rule(
    rules: Writer, rule_id: str, body: AccessRulePatch
) -> AccessRuleEnvelope:
    """Change the given fields of an access rule; it holds at once, also for runs under way."""
    return AccessRuleEnvelope(rule=await rules.update(rule_id, body))


@router.delete("/{rule_id}", status_code=204, responses=problems(AccessRuleNotFound))
async def delete_access_rule(rules: Writer, rule_id: str) -> None:
    """Delete an access rule; what it kept from being used can be used at once."""
    await rules.delete(rule_id)
