"""Access rules: kept over HTTP, and judged like a naive reference."""

import asyncio
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domains.control.access_rules import AccessDeniedByRule, AccessRules
from muster.domains.control.access_rules.deciding import (
    Principal,
    Rule,
    RuleBook,
    Verdict,
    judge,
)
from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from muster.platform.access import Caller
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

PATH = "/policy/rules"
MODEL = "openai/gpt-4o"
BODY = {
    "scope_type": "role",
    "scope_id": "operator",
    "resource_type": "model",
    "resource_id": MODEL,
    "effect": "deny",
    "rule": {"action": "use"},
}


async def id_of(client: Any) -> str:
    return str((await client.get("/auth/me")).json()["id"])


async def made(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.superadmin.post(PATH, json={**BODY, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["rule"]


async def asked(people: People, person: Any, **fields: Any) -> dict[str, Any]:
    question = {
        "user_id": await id_of(person),
        "project_id": people.project_id,
        "resource_type": "model",
        "resource_id": MODEL,
        **fields,
    }
    answer = await people.admin.post(f"{PATH}/check", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_make_read_change_delete(people: People) -> None:
    rule = await made(people)
    assert {name: rule[name] for name in BODY} == BODY
    path = f"{PATH}/{rule['id']}"
    assert (await people.superadmin.get(path)).json() == {"rule": rule}

    listed = (await people.superadmin.get(PATH)).json()
    assert listed["rules"] == listed["items"] == [rule]
    assert (listed["total"], listed["limit"], listed["has_more"]) == (1, 50, False)

    patched = await people.superadmin.patch(path, json={"scope_id": "viewer"})
    assert patched.json()["rule"]["scope_id"] == "viewer"
    same = await people.superadmin.patch(path, json={"rule": {"action": "use"}})
    assert same.json() == patched.json()
    whole = {**BODY, "effect": "allow", "rule": {"action": "*"}}
    put = (await people.superadmin.put(path, json=whole)).json()["rule"]
    assert {name: put[name] for name in whole} == whole

    other = await made(people)
    clash = await people.superadmin.patch(path, json={"effect": "deny", "rule": {"action": "use"}})
    assert (clash.status_code, clash.json()["error"]) == (409, "access_rule_taken")
    again = await people.superadmin.post(PATH, json=BODY)
    assert (again.status_code, again.json()["error"]) == (409, "access_rule_taken")

    for rule_id in (rule["id"], other["id"]):
        assert (await people.superadmin.delete(f"{PATH}/{rule_id}")).status_code == 204
    for method in ("get", "delete"):
        gone = await getattr(people.superadmin, method)(path)
        assert (gone.status_code, gone.json()["error"]) == (404, "access_rule_not_found")
    missing = await people.superadmin.patch(path, json={})
    assert missing.status_code == 404


async def test_changes_are_events_of_the_platform(people: People, muster: Muster) -> None:
    rule = await made(people)
    path = f"{PATH}/{rule['id']}"
    await people.superadmin.patch(path, json={"effect": "allow"})
    await people.superadmin.delete(path)
    kinds = ("access_rule.created", "access_rule.updated", "access_rule.deleted")
    told = await recorded(muster, *kinds)
    assert tuple(event.type for event in told) == kinds
    assert {event.subject_id for event in told} == {rule["id"]}
    assert [event.data["effect"] for event in told] == ["deny", "allow", "allow"]
    ours = (await people.viewer.get("/events", params={"limit": 50})).json()["items"]
    assert not [e for e in ours if e["type"].startswith("access_rule.")]


async def test_filters(people: People) -> None:
    rules = [
        await made(people),
        await made(people, scope_type="group", scope_id=people.project_id, effect="allow"),
        await made(people, resource_type="tool", resource_id="calculator", rule={"action": "*"}),
    ]
    for name, value, expected in [
        ("scope_type", "group", [1]),
        ("scope_id", "operator", [0, 2]),
        ("resource_type", "tool", [2]),
        ("resource_id", MODEL, [0, 1]),
        ("effect", "allow", [1]),
        ("action", "*", [2]),
    ]:
        found = (await people.superadmin.get(PATH, params={name: value})).json()
        assert [r["id"] for r in found["rules"]] == [rules[n]["id"] for n in reversed(expected)]
    first = (await people.superadmin.get(PATH, params={"limit": 1})).json()
    assert (len(first["rules"]), first["total"], first["has_more"]) == (1, 3, True)
    assert (await people.superadmin.get(PATH, params={"effect": "maybe"})).status_code == 422


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"scope_type": "organization"}, "scope_type", "user, group, role"),
        ({"scope_id": "king"}, "scope_id", "superadmin"),
        ({"scope_type": "user"}, "scope_id", "GET /users"),
        ({"scope_type": "group"}, "scope_id", "a group is a project"),
        ({"resource_type": "entity"}, "resource_type", "model, agent, tool"),
        ({"resource_id": "gpt-4o"}, "resource_id", "provider/model"),
        ({"resource_id": "/gpt-4o"}, "resource_id", "provider/model"),
        ({"resource_type": "tool", "resource_id": "crm"}, "resource_id", "built-in"),
        ({"resource_type": "agent", "resource_id": "writer"}, "resource_id", "by its id"),
        ({"effect": "maybe"}, "effect", "allow, deny"),
        ({"rule": {"action": "look"}}, "rule.action", "use, *"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    people: People, fields: dict[str, Any], field: str, hint: str
) -> None:
    rule = await made(people)
    for answer in (
        await people.superadmin.post(PATH, json={**BODY, **fields}),
        await people.superadmin.patch(f"{PATH}/{rule['id']}", json=fields),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["error"]) == (400, "invalid_policy_rule")
        assert hint in str(problem["detail"]) + problem["message"]
        assert [e["field"] for e in problem["errors"]] == [field]
    kept = (await people.superadmin.get(f"{PATH}/{rule['id']}")).json()["rule"]
    assert kept == rule


async def test_only_superadmins_keep_rules_and_only_admins_ask(people: People) -> None:
    rule = await made(people)
    question = {
        "user_id": await id_of(people.viewer),
        "project_id": people.project_id,
        "resource_type": "model",
        "resource_id": MODEL,
    }
    for person in (people.admin, people.owner, people.editor, people.operator, people.viewer):
        path = f"{PATH}/{rule['id']}"
        refused = [
            await person.get(PATH),
            await person.get(path),
            await person.post(PATH, json=BODY),
            await person.put(path, json=BODY),
            await person.patch(path, json={}),
            await person.delete(path),
        ]
        assert {answer.status_code for answer in refused} == {403}
        may_ask = person is people.admin
        checked = await person.post(f"{PATH}/check", json=question)
        assert checked.status_code == (200 if may_ask else 403)


@pytest.mark.parametrize(
    ("scope_type", "effect"), list(product(["user", "group", "role"], ["allow", "deny"]))
)
async def test_every_scope_and_effect(people: People, scope_type: str, effect: str) -> None:
    """The operator is meant; the viewer is by the rule of the project only."""
    scope_id = {
        "user": await id_of(people.operator),
        "group": people.project_id,
        "role": "operator",
    }[scope_type]
    things = {"model": MODEL, "agent": new_id(), "tool": "calculator"}
    rules = {
        kind: await made(
            people,
            scope_type=scope_type,
            scope_id=scope_id,
            resource_type=kind,
            resource_id=thing,
            effect=effect,
        )
        for kind, thing in things.items()
    }
    for kind, thing in things.items():
        about = {"resource_type": kind, "resource_id": thing}
        operator = await asked(people, people.operator, **about)
        assert operator["allowed"] is (effect == "allow")
        assert operator["reason"] == ("allowed" if effect == "allow" else "denied")
        assert [rule["id"] for rule in operator["rules"]] == [rules[kind]["id"]]
        viewer = await asked(people, people.viewer, **about)
        assert viewer["allowed"] is ((scope_type == "group") == (effect == "allow"))
        if scope_type != "group":
            assert viewer["reason"] == ("not_allowed" if effect == "allow" else "no_rule")
        elsewhere = await asked(
            people, people.outsider, **about, project_id=people.other_project_id
        )
        assert elsewhere["allowed"] is (effect == "deny")
        other = await asked(people, people.operator, resource_type=kind, resource_id=new_id())
        assert other == {"allowed": True, "rules": [], "reason": "no_rule"}


async def test_a_platform_role_and_a_change_of_it(people: People) -> None:
    await made(people, scope_id="user")
    assert not (await asked(people, people.viewer))["allowed"]
    assert (await asked(people, people.admin))["allowed"]
    user_id = await id_of(people.viewer)
    await people.superadmin.patch(f"/users/{user_id}", json={"role": "admin"})
    assert (await asked(people, people.viewer))["allowed"]


async def test_deny_wins_and_a_star_is_about_all(people: People) -> None:
    everybody = await made(people, resource_id="*", scope_id="viewer", effect="allow")
    assert (await asked(people, people.viewer))["allowed"]
    assert (await asked(people, people.operator))["reason"] == "not_allowed"
    await made(people, effect="allow")
    assert (await asked(people, people.operator))["allowed"]
    other = await asked(people, people.operator, resource_id="openai/other")
    assert (other["allowed"], other["rules"][0]["id"]) == (False, everybody["id"])
    denied = await made(
        people, scope_type="user", scope_id=await id_of(people.operator), resource_id="*"
    )
    answer = await asked(people, people.operator)
    assert (answer["reason"], [r["id"] for r in answer["rules"]]) == ("denied", [denied["id"]])
    await people.superadmin.delete(f"{PATH}/{denied['id']}")
    assert (await asked(people, people.operator))["allowed"]


async def test_a_question_may_use_the_names_of_the_project(people: People) -> None:
    body = {"name": "fast", "provider": "openai", "model": "gpt-4o"}
    model = (await people.editor.post("/models", json=body)).json()
    await made(people)
    assert not (await asked(people, people.operator, resource_id="fast"))["allowed"]
    assert not (await asked(people, people.operator, resource_id=model["id"]))["allowed"]
    tool = {"name": "crm", "tool_type": "http", "configuration": {"url": "http://127.0.0.1:9"}}
    crm = (await people.editor.post("/tools", json=tool)).json()
    await made(people, resource_type="tool", resource_id=crm["id"])
    about = {"resource_type": "tool"}
    assert not (await asked(people, people.operator, **about, resource_id="crm"))["allowed"]
    assert (await asked(people, people.operator, **about, resource_id="nothing"))["allowed"]
    calculator = (await people.viewer.get("/tools/calculator")).json()
    await made(people, resource_type="tool", resource_id="calculator")
    named = await asked(people, people.operator, **about, resource_id=calculator["id"])
    assert not named["allowed"]
    # What answers at an address of the project's own is not the provider's model.
    own = {
        "name": "mine",
        "provider": "openai",
        "model": "gpt-4o",
        "base_url": "http://127.0.0.1:9/v1",
    }
    await people.editor.post("/models", json=own)
    assert (await asked(people, people.operator, resource_id="mine"))["allowed"]
    builtin = {"name": "quiet", "provider": "builtin", "model": "extractive"}
    if (await people.editor.post("/models", json=builtin)).status_code == 201:
        await made(people, resource_id="builtin/extractive")
        assert not (await asked(people, people.operator, resource_id="quiet"))["allowed"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"user_id": "nobody"}, "user_id"),
        ({"project_id": "nowhere"}, "project_id"),
        ({"resource_type": "entity"}, "resource_type"),
        ({"action": "look"}, "action"),
    ],
)
async def test_questions_that_make_no_sense(
    people: People, fields: dict[str, Any], field: str
) -> None:
    question = {
        "user_id": await id_of(people.viewer),
        "project_id": people.project_id,
        "resource_type": "model",
        "resource_id": MODEL,
        **fields,
    }
    answer = await people.admin.post(f"{PATH}/check", json=question)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_policy_rule")
    assert [e["field"] for e in answer.json()["errors"]] == [field]


async def test_a_change_holds_at_once_in_another_process(
    people: People, muster: Muster, settings: Any
) -> None:
    caller = Caller.system(people.project_id)
    async with Muster(settings, engine="off") as other:
        for rules in (muster.running.access_rules, other.running.access_rules):
            await rules.require(caller, "model", {MODEL})
        rule = await made(people, scope_type="group", scope_id=people.project_id)
        assert await refuses(muster.running.access_rules, caller)
        await until(other.running.access_rules, caller, refused=True)
        await people.superadmin.delete(f"{PATH}/{rule['id']}")
        assert not await refuses(muster.running.access_rules, caller)
        await until(other.running.access_rules, caller, refused=False)


async def refuses(rules: AccessRules, caller: Caller) -> bool:
    verdict = await rules.judge_starter(None, caller.project_id, "model", {MODEL})
    return not verdict.allowed


async def until(rules: AccessRules, caller: Caller, *, refused: bool) -> None:
    async with asyncio.timeout(3):
        while await refuses(rules, caller) is not refused:
            await asyncio.sleep(0.02)


async def test_the_platform_itself_is_nobody(people: People, muster: Muster) -> None:
    await made(people, scope_id="superadmin")
    caller = Caller.system(people.project_id)
    rules = muster.running.access_rules
    await rules.require(caller, "model", {MODEL})
    await made(people, scope_id="superadmin", resource_id="openai/other", effect="allow")
    with pytest.raises(AccessDeniedByRule, match="keeps this model for others"):
        await rules.require(caller, "model", {"openai/other"})
    gone = await rules.judge_starter(new_id(), people.project_id, "model", {"openai/other"})
    assert not gone.allowed


USERS, PROJECTS, ROLES, THINGS = ("u1", "u2"), ("p1", "p2"), ("user", "owner"), ("a", "b", "*")

RULES = st.lists(
    st.builds(
        lambda n, scope, resource_type, thing, denies, action: Rule(
            id=f"{n:04}",
            scope_type=scope[0],
            scope_id=scope[1],
            resource_type=resource_type,
            resource_id=thing,
            denies=denies,
            action=action,
        ),
        st.integers(0, 9999),
        st.sampled_from(
            [("user", u) for u in USERS]
            + [("group", p) for p in PROJECTS]
            + [("role", r) for r in ROLES]
        ),
        st.sampled_from(["model", "tool"]),
        st.sampled_from(THINGS),
        st.booleans(),
        st.sampled_from(["use", "*"]),
    ),
    max_size=12,
    unique_by=lambda rule: rule.id,
)


def reference(
    rules: list[Rule], principal: Principal, resource_type: str, ids: set[str]
) -> Verdict:
    """The definition, word by word."""
    about = [r for r in rules if r.resource_type == resource_type and r.resource_id in ids | {"*"}]
    mine = [
        r
        for r in about
        if (r.scope_type, r.scope_id)
        in {
            ("user", principal.user_id),
            ("group", principal.project_id),
            *(("role", role) for role in principal.roles),
        }
    ]
    if any(r.denies for r in mine):
        return verdict(False, [r for r in mine if r.denies])
    if any(not r.denies for r in mine):
        return verdict(True, mine)
    if any(not r.denies for r in about):
        return verdict(False, [r for r in about if not r.denies])
    return verdict(True, [])


def verdict(allowed: bool, rules: list[Rule]) -> Verdict:
    return Verdict(allowed, tuple(sorted(rules, key=lambda rule: rule.id)))


@given(
    rules=RULES,
    principal=st.builds(
        Principal,
        project_id=st.sampled_from(PROJECTS),
        user_id=st.sampled_from([*USERS, None]),
        roles=st.frozensets(st.sampled_from(ROLES)),
    ),
    resource_type=st.sampled_from(["model", "tool", "agent"]),
    ids=st.sets(st.sampled_from(["a", "b", "c"]), max_size=2),
)
def test_the_decision_is_that_of_the_definition(
    rules: list[Rule], principal: Principal, resource_type: str, ids: set[str]
) -> None:
    found = RuleBook(rules).about(resource_type, ids)
    assert judge(found, principal) == reference(rules, principal, resource_type, ids)
