"""Who may do what: the table of roles and scopes, and the dependencies that ask it."""

from itertools import pairwise
from typing import Any

import pytest
from starlette.requests import Request

from muster.kernel.http import App
from muster.kernel.http.routing import required_scope
from muster.platform.access import (
    AGENT_KEY_SCOPES,
    PLATFORM_SCOPES,
    PROJECT_SCOPES,
    Caller,
    CallerKind,
    PlatformRole,
    ProjectRole,
    Scope,
    current_caller,
    identify,
    requires,
    requires_login,
    scopes_of,
)
from muster.platform.access.dependencies import LOGIN, InsufficientRole

pytestmark = pytest.mark.anyio


def caller(*scopes: Scope, **values: Any) -> Caller:
    given: dict[str, Any] = {
        "kind": CallerKind.USER,
        "id": "u1",
        "name": "Ada",
        "role": PlatformRole.USER,
        "project_id": "p1",
        "project_role": ProjectRole.VIEWER,
        "scopes": frozenset(scopes),
    }
    return Caller(**(given | values))


# --- the table --------------------------------------------------------------------------------


def test_roles_of_a_project_are_a_chain() -> None:
    order = [ProjectRole.VIEWER, ProjectRole.OPERATOR, ProjectRole.EDITOR, ProjectRole.OWNER]
    assert list(PROJECT_SCOPES) == order == list(ProjectRole)
    for lower, higher in pairwise(order):
        assert PROJECT_SCOPES[lower] < PROJECT_SCOPES[higher]
        assert lower.rank < higher.rank


def test_roles_of_the_platform_are_a_chain() -> None:
    order = [PlatformRole.USER, PlatformRole.ADMIN, PlatformRole.SUPERADMIN]
    assert list(PLATFORM_SCOPES) == order == list(PlatformRole)
    for lower, higher in pairwise(order):
        assert PLATFORM_SCOPES[lower] < PLATFORM_SCOPES[higher]
        assert lower.rank < higher.rank


def test_every_scope_belongs_to_somebody() -> None:
    everything = scopes_of(PlatformRole.SUPERADMIN, ProjectRole.OWNER)
    assert everything == frozenset(Scope)
    for scope in Scope:
        assert scope.value.count(":") == 1


def test_a_viewer_only_looks() -> None:
    assert {scope.value.partition(":")[2] for scope in PROJECT_SCOPES[ProjectRole.VIEWER]} == {
        "read"
    }


def test_an_operator_runs_and_changes_no_definition() -> None:
    gained = PROJECT_SCOPES[ProjectRole.OPERATOR] - PROJECT_SCOPES[ProjectRole.VIEWER]
    assert Scope.RUNS_EXECUTE in gained
    assert Scope.APPROVALS_DECIDE in gained
    assert not {Scope.AGENTS_WRITE, Scope.TOOLS_WRITE, Scope.SECRETS_WRITE} & gained


def test_platform_roles_give_nothing_in_a_project() -> None:
    of_projects = frozenset[Scope]().union(*PROJECT_SCOPES.values())
    for role in PlatformRole:
        assert scopes_of(role, None) == PLATFORM_SCOPES[role]
        assert not scopes_of(role, None) & of_projects
    assert Scope.AGENTS_READ in scopes_of(PlatformRole.USER, ProjectRole.VIEWER)


def test_what_the_key_of_an_agent_can_ever_do() -> None:
    assert PROJECT_SCOPES[ProjectRole.EDITOR] >= AGENT_KEY_SCOPES
    assert Scope.AGENTS_WRITE not in AGENT_KEY_SCOPES


# --- callers ----------------------------------------------------------------------------------


def test_what_a_caller_may() -> None:
    someone = caller(Scope.AGENTS_READ)
    assert someone.may(Scope.AGENTS_READ)
    assert not someone.may(Scope.AGENTS_WRITE)
    assert not someone.is_admin
    assert caller(role=PlatformRole.ADMIN).is_admin
    assert caller(role=PlatformRole.SUPERADMIN).is_admin


def test_the_platform_itself() -> None:
    system = Caller.system("p1", "housekeeping")
    assert (system.kind, system.project_id, system.name) == (
        CallerKind.SYSTEM,
        "p1",
        "housekeeping",
    )
    assert all(system.may(scope) for scope in Scope)
    assert Caller.system("p1").name == "system"


# --- dependencies -----------------------------------------------------------------------------


def request_of(someone: Caller) -> tuple[Request, list[str]]:
    app = App(docs=False, cors_origins=[])
    asked: list[str] = []

    async def authenticate(connection: Any) -> Caller:
        asked.append(connection.scope["path"])
        return someone

    app.state.authenticate = authenticate
    scope = {"type": "http", "path": "/x", "app": app, "headers": [], "state": {}}
    return Request(scope), asked


async def test_a_caller_is_found_out_once() -> None:
    someone = caller()
    request, asked = request_of(someone)
    assert await current_caller(request) is someone
    assert await current_caller(request) is someone
    assert asked == ["/x"]


async def test_idempotency_keys_belong_to_the_key_or_the_user() -> None:
    assert await identify(request_of(caller())[0]) == "u1"
    assert await identify(request_of(caller(key_id="k1"))[0]) == "k1"


async def test_one_of_the_scopes_is_enough() -> None:
    check = requires(Scope.AGENTS_WRITE, Scope.AGENTS_REGISTER).dependency
    for scope in (Scope.AGENTS_WRITE, Scope.AGENTS_REGISTER):
        someone = caller(scope)
        assert await check(someone) is someone
    with pytest.raises(InsufficientRole) as refused:
        await check(caller(Scope.AGENTS_READ))
    assert (refused.value.status, refused.value.code) == (403, "insufficient_role")
    assert "agents:write or agents:register" in refused.value.detail


async def test_a_login_is_enough() -> None:
    check = requires_login().dependency
    someone = caller()
    assert await check(someone) is someone
    assert check.required_scope == LOGIN


def test_operations_declare_their_scope() -> None:
    from fastapi.dependencies.models import Dependant

    check = requires(Scope.RUNS_READ).dependency
    inner = Dependant(call=check)
    assert required_scope(Dependant(dependencies=[Dependant(), inner])) == "runs:read"
