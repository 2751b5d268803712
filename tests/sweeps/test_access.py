"""Access: who may call what, and how everyone else is refused, for every operation."""

import base64
import json
import re
from typing import Any

import pytest

from muster.kernel.ids import new_id
from muster.platform.access import AGENT_KEY_SCOPES
from tests.sweeps.calling import Answer
from tests.sweeps.document import APP, OPERATIONS, Operation, each
from tests.sweeps.factories import factory_of
from tests.sweeps.world import AGENT, LADDER, World, scopes_held

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
GUARDED = [o for o in OPERATIONS if not o.is_public]
IN_A_PROJECT = [o for o in GUARDED if not o.names_project]
"""Operations that act in the project which a header or a query parameter names."""

WITH_IDS = [
    pytest.param(o, name, id=f"{o.id}-{name}") for o in GUARDED for name in o.path_parameters
]
FOREIGN = [
    pytest.param(o, name, id=f"{o.id}-{name}")
    for o in GUARDED
    for name in o.path_parameters
    if factory_of(o.path, name).shared is None
]
FIELDS: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "title": str,
    "status": int,
    "error": str,
    "message": str,
    "detail": (str, list),
    "errors": list,
    "details": dict,
    "request_id": str,
}
"""The fields of a problem."""

BROKEN = {
    "": ("missing_token", "Bearer "),
    "basic": ("invalid_authorization_header", "Basic b3duZXI6cGFzc3dvcmQ="),
    "no scheme": ("invalid_authorization_header", "b3duZXI6cGFzc3dvcmQ"),
    "words": ("invalid_token", "Bearer not a token"),
    "dots": ("invalid_token", "Bearer a.b.c"),
    "long": ("invalid_token", "Bearer " + "a" * 10_000),
    "bytes": ("invalid_token", b"Bearer \xff\xfe\x00"),
    "key": ("invalid_token", "Bearer mst_user_" + "a" * 40),
    "unsigned": (
        "invalid_token",
        "Bearer "
        + ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "none"}, {"sub": "owner", "sid": "1", "exp": 99_999_999_999})
        )
        + ".",
    ),
}
MALFORMED = {
    "word": "nothing-here",
    "number": "0",
    "negative": "-1",
    "beyond 64 bits": "9" * 40,
    "long": "a" * 3_000,
    "nul": "%00",
    "nul inside": "a%00b",
    "not UTF-8": "%FF%FE",
    "emoji": "%F0%9F%92%A5",
    "surrogate": "%ED%A0%80",
    "quotes": "%27%20OR%201%3D1%20--",
    "wildcard": "%25",
    "dots": "..",
    "escaped slash": "a%2Fb",
    "space": "%20",
}
"""What no object is named by, as it is written in a path."""


def assert_problem(answer: Answer, *statuses: int, error: str | None = None) -> dict[str, Any]:
    """Assert that an answer is a whole problem, and return it."""
    assert answer.status in statuses, answer
    assert answer.header("content-type") == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == set(FIELDS)
    for name, kind in FIELDS.items():
        assert isinstance(body[name], kind), f"{name}: {body[name]!r}"
    assert body["status"] == answer.status
    assert body["type"] == f"/problems/{body['error']}"
    assert body["message"]
    assert body["request_id"] == answer.header("x-request-id") != ""
    if answer.status == 422:
        assert isinstance(body["detail"], list)
        assert all({"type", "loc", "msg"} <= set(item) for item in body["detail"])
    if error is not None:
        assert body["error"] == error
    return body


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(GUARDED))
def test_without_a_token(world: World, operation: Operation) -> None:
    answer = world.perform(operation, json=operation.smallest_body())
    assert_problem(answer, 401, error="missing_auth")
    assert answer.header("www-authenticate") == "Bearer"
    # Nobody is told what an operation takes before saying who they are.
    assert_problem(world.perform(operation, params={"unheard_of": "1"}), 401)
    assert_problem(world.perform(operation, content=b"{"), 401)


@pytest.mark.parametrize("operation", each(GUARDED))
def test_with_a_broken_token(world: World, operation: Operation) -> None:
    for error, header in BROKEN.values():
        answer = world.perform(operation, headers={"authorization": header})
        assert_problem(answer, 401, error=error)
    token = world.tokens["owner"]
    for broken in (token[:-2], token[:-2] + "AA", token + "A", token.upper()):
        if broken != token:
            answer = world.perform(operation, headers={"authorization": f"Bearer {broken}"})
            assert_problem(answer, 401, error="invalid_token")


@pytest.mark.parametrize("operation", each(GUARDED))
def test_with_too_low_a_role(world: World, operation: Operation) -> None:
    needed = set(operation.scopes)
    # What agents do themselves, people need not; their keys stand beside the ladder there.
    ladder = [p for p in LADDER if p != AGENT or not needed & AGENT_KEY_SCOPES]
    may = [bool(needed & scopes_held(person)) for person in ladder]
    assert may == sorted(may), "who may do more may also do this"
    lowest = may.index(True)

    # The path of a project names itself, so the ladder's people must be members of it.
    given = {"project_id": world.project_of("owner")} if operation.names_project else {}
    path = world.path(operation, "owner", **given)
    for person in ladder[:lowest][-1:]:
        answer = world.perform(operation, person, path=path, json=operation.smallest_body())
        body = assert_problem(answer, 403, error="insufficient_role")
        assert any(scope in body["message"] for scope in operation.scopes)

    # Not with real ids: what the lowest role may do must not be done here.
    for person in {ladder[lowest], *(set(LADDER) - set(ladder))}:
        answer = world.perform(operation, person, content=b"[")
        assert answer.status != 403, answer


@pytest.mark.parametrize(("operation", "parameter"), FOREIGN)
def test_with_an_id_of_another_tenant(world: World, operation: Operation, parameter: str) -> None:
    theirs = world.object_of(
        "owner", operation.path, parameter, _before(world, operation, parameter)
    )
    foreign = world.path_to(operation, "outsider", parameter, theirs)
    made_up = world.path_to(operation, "outsider", parameter, new_id())

    body = operation.smallest_body()
    seen = assert_problem(world.perform(operation, "outsider", path=foreign, json=body), 404)
    other = assert_problem(world.perform(operation, "outsider", path=made_up, json=body), 404)
    assert seen["error"] == other["error"], "foreign and made-up ids must read the same"
    assert _without_ids(seen) == _without_ids(other)


def _before(world: World, operation: Operation, parameter: str) -> dict[str, str]:
    """Return the owner's objects for the parameters that come before one."""
    given: dict[str, str] = {}
    for name in operation.path_parameters:
        if name == parameter:
            break
        given[name] = world.object_of("owner", operation.path, name, given)
    return given


def _without_ids(problem: dict[str, Any]) -> str:
    shown = {name: value for name, value in problem.items() if name != "request_id"}
    return re.sub(r"(model-|tool-)?[0-9a-f]{8}-[0-9a-f-]{27}", "ID", json.dumps(shown))


@pytest.mark.parametrize(("operation", "parameter"), WITH_IDS)
def test_with_a_malformed_id(world: World, operation: Operation, parameter: str) -> None:
    body = operation.smallest_body()
    for value in MALFORMED.values():
        path = world.path_to(operation, "superadmin", parameter, value)
        answer = world.perform(operation, "superadmin", path=path, json=body)
        assert_problem(answer, 404, 405, 422)


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(OPERATIONS))
def test_with_an_unknown_query_parameter(world: World, operation: Operation) -> None:
    path = world.path(operation, None if operation.is_public else "superadmin")
    person = None if operation.is_public else "superadmin"
    answer = world.perform(
        operation, person, path=path, params={"unheard_of": "1"}, json=operation.smallest_body()
    )
    body = assert_problem(answer, 422, error="validation_error")
    assert [item["loc"] for item in body["detail"]] == [["query", "unheard_of"]]


@pytest.mark.before_the_database
@pytest.mark.parametrize("path", sorted({o.path for o in OPERATIONS}))
def test_with_a_wrong_method(world: World, path: str) -> None:
    target = re.sub(r"\{version\}", "1", path)
    target = re.sub(r"\{\w+\}", lambda _: new_id(), target)
    # A path may also be one of a more general path: `/tools/enabled` is a tool's too.
    found = [route for route in APP.operations() if route.path_regex.match(target)]
    allowed = set[str]().union(*(route.methods or () for route in found))
    for method in (*METHODS, "TRACE"):
        if method in allowed:
            continue
        answer = world.call(method, target, "superadmin")
        assert_problem(answer, 405, error="method_not_allowed")
        named = {name.strip() for name in answer.header("allow").split(",")}
        assert named == allowed


@pytest.mark.before_the_database
@pytest.mark.parametrize("operation", each(OPERATIONS))
def test_other_spellings_of_the_path(world: World, operation: Operation) -> None:
    path = world.path(operation)
    short = path.removeprefix("/api")
    for spelling in (path + "/", short, short + "/"):
        for body in (None, b"["):
            plain = world.perform(operation, path=path, content=body)
            answer = world.perform(operation, path=spelling, content=body)
            assert answer.status == plain.status
            if plain.status in {401, 422}:
                problem = assert_problem(answer, plain.status)
                assert _without_ids(problem) == _without_ids(plain.json())


@pytest.mark.parametrize("operation", each(IN_A_PROJECT))
def test_in_a_project_of_others(world: World, operation: Operation) -> None:
    foreign, person = world.project_of("outsider"), "superadmin"
    path = world.path(operation, person)
    for project in (foreign, new_id(), "nonsense"):
        for way in (
            {"headers": {"x-project-id": project}},
            {"headers": {"group_id": project}},
            {"params": {"group_id": project}},
        ):
            answer = world.perform(
                operation, person, path=path, json=operation.smallest_body(), **way
            )
            assert_problem(answer, 404, error="project_not_found")


@pytest.mark.parametrize("operation", each(IN_A_PROJECT))
def test_naming_the_own_project(world: World, operation: Operation) -> None:
    """The project can be named in every way where a request is otherwise the same."""
    project, path = world.project_of("superadmin"), world.path(operation)
    plain = world.perform(operation, "superadmin", path=path, content=b"[")
    for way in (
        {"headers": {"x-project-id": project}},
        {"headers": {"group_id": project}},
        {"params": {"group_id": project}},
    ):
        answer = world.perform(operation, "superadmin", path=path, content=b"[", **way)
        assert answer.status == plain.status, f"{plain} became {answer}"
        assert answer.status not in {401, 403}
