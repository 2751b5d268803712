"""Secrets: sealed, masked, kept apart by project, and of use only to calls."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.crypto import MasterKey, SealBroken
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from muster.platform.events import EventRecord
from muster.platform.vault import (
    MasterKeyMismatch,
    SecretExpired,
    SecretNotFound,
    SecretNotSet,
    VaultService,
    usable_secrets,
)
from muster.platform.vault.models import KnownMasterKey, Secret
from tests.support.people import People

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-value-9876"
BODY = {"name": "OpenAI API Key", "service": "openai", "key": KEY}


async def made(people: People, **fields: Any) -> dict[str, Any]:
    response = await people.editor.post("/api-keys", json=BODY | fields)
    assert response.status_code == 201, response.text
    return response.json()


def vault_of(muster: Muster, session: Any, project_id: str) -> VaultService:
    return VaultService(session, Caller.system(project_id), muster.master_key)


async def test_a_secret_is_stored_and_never_shown(people: People, muster: Muster) -> None:
    response = await people.editor.post("/api-keys", json=BODY | {"description": "for tests"})

    assert response.status_code == 201
    assert KEY not in response.text
    body = response.json()
    assert body | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "OpenAI API Key",
        "service": "openai",
        "description": "for tests",
        "value": "Set",
        "key_hint": "…9876",
        "expires_at": None,
        "last_used_at": None,
        "created_at": "",
        "updated_at": "",
    }
    for path in ("/api-keys", f"/api-keys/{body['id']}", "/api-keys/OpenAI%20API%20Key"):
        shown = await people.viewer.get(path)
        assert shown.status_code == 200
        assert KEY not in shown.text
    async with muster.database.read() as session:
        row = (await session.scalars(select(Secret))).one()
        assert KEY.encode() not in (row.ciphertext or b"") + (row.wrapped_key or b"")
    assert await muster.vault.value(people.project_id, "OpenAI API Key") == KEY
    assert await muster.vault.value(people.project_id, body["id"]) == KEY


async def test_value_is_another_word_for_key(people: People, muster: Muster) -> None:
    await people.editor.post("/api-keys", json={"name": "short", "value": "  abc\n"})

    listed = (await people.viewer.get("/api-keys")).json()["items"]
    assert [(item["value"], item["key_hint"]) for item in listed] == [("Set", None)]
    assert await muster.vault.value(people.project_id, "short") == "abc"


@pytest.mark.parametrize(
    "fields",
    [
        {"key": None},
        {"value": "both"},
        {"key": ""},
        {"name": ""},
        {"name": "/x"},
        {"name": "x/"},
        {"name": "a\tb"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"secret": "x"},
    ],
)
async def test_a_body_that_is_not_right_is_refused(people: People, fields: dict[str, Any]) -> None:
    response = await people.editor.post("/api-keys", json=BODY | fields)

    assert response.status_code == 422
    assert KEY not in response.text


async def test_an_update_may_not_hold_two_values(people: People) -> None:
    secret = await made(people)

    response = await people.editor.put(
        f"/api-keys/{secret['id']}", json={"key": "one-secret", "value": "two-secret"}
    )

    assert response.status_code == 422
    assert "one-secret" not in response.text


async def test_names_are_unique_in_a_project(people: People) -> None:
    first = await made(people)
    second = await made(people, name="prod/anthropic")

    again = await people.editor.post("/api-keys", json=BODY)
    renamed = await people.editor.put("/api-keys/prod/anthropic", json={"name": first["name"]})
    elsewhere = await people.outsider.post("/api-keys", json=BODY)

    assert (again.status_code, again.json()["error"]) == (409, "secret_name_taken")
    assert (renamed.status_code, renamed.json()["error"]) == (409, "secret_name_taken")
    assert elsewhere.status_code == 201
    assert (await people.viewer.get("/api-keys/prod/anthropic")).json()["id"] == second["id"]


async def test_only_the_given_fields_change(people: People, muster: Muster) -> None:
    secret = await made(people, description="kept")

    by_name = await people.editor.put(
        "/api-keys/OpenAI API Key", json={"name": "Updated", "key": "sk-new-value-4321"}
    )
    cleared = await people.editor.put(f"/api-keys/{secret['id']}", json={"service": None})
    nothing = await people.editor.put(f"/api-keys/{secret['id']}", json={})

    assert by_name.status_code == 200
    assert "sk-new" not in by_name.text
    assert (by_name.json()["description"], by_name.json()["key_hint"]) == ("kept", "…4321")
    assert (cleared.json()["service"], cleared.json()["name"]) == (None, "Updated")
    assert nothing.json() == cleared.json()
    assert await muster.vault.value(people.project_id, "Updated") == "sk-new-value-4321"


async def test_an_id_goes_before_a_name(people: People) -> None:
    first = await made(people)
    await made(people, name=first["id"])

    found = await people.viewer.get(f"/api-keys/{first['id']}")

    assert found.json()["name"] == first["name"]


async def test_the_list_is_filtered_and_paged(people: People) -> None:
    await made(people)
    await made(people, name="b%c", service="anthropic")
    await made(people, name="c", service=None)

    async def names(**params: Any) -> list[str]:
        response = await people.viewer.get("/api-keys", params=params)
        assert response.status_code == 200, response.text
        return [item["name"] for item in response.json()["items"]]

    assert await names(service="anthropic") == ["b%c"]
    assert await names(search="%") == ["b%c"]
    assert await names(search="openai") == ["OpenAI API Key"]
    page = (await people.viewer.get("/api-keys", params={"limit": 2})).json()
    assert (len(page["items"]), page["total"], page["has_more"]) == (2, 3, True)


async def test_deleting_and_what_is_not_there(people: People, muster: Muster) -> None:
    secret = await made(people)

    assert (await people.editor.delete(f"/api-keys/{secret['name']}")).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        body = {} if method == "PUT" else None
        gone = await people.editor.request(method, f"/api-keys/{secret['id']}", json=body)
        assert (gone.status_code, gone.json()["error"]) == (404, "secret_not_found")
    with pytest.raises(SecretNotFound):
        await muster.vault.value(people.project_id, secret["name"])


async def test_other_projects_see_nothing(people: People, muster: Muster) -> None:
    secret = await made(people)

    assert (await people.outsider.get("/api-keys")).json()["items"] == []
    for reference in (secret["id"], secret["name"]):
        assert (await people.outsider.get(f"/api-keys/{reference}")).status_code == 404
        with pytest.raises(SecretNotFound):
            await muster.vault.value(people.other_project_id, reference)


async def test_viewers_and_operators_may_not_write(people: People, anonymous: Any) -> None:
    secret = await made(people)

    for client, status in ((people.viewer, 403), (people.operator, 403), (anonymous, 401)):
        path = f"/api-keys/{secret['id']}"
        assert (await client.post("/api-keys", json=BODY)).status_code == status
        assert (await client.put(path, json={"name": "x"})).status_code == status
        assert (await client.delete(path)).status_code == status
    assert (await anonymous.get("/api-keys")).status_code == 401


async def test_events_tell_of_changes_without_values(people: People, muster: Muster) -> None:
    secret = await made(people)
    await people.editor.put(f"/api-keys/{secret['id']}", json={"key": KEY, "service": "x"})
    await people.editor.delete(f"/api-keys/{secret['id']}")

    async with muster.database.read() as session:
        events = (
            await session.scalars(
                select(EventRecord)
                .where(EventRecord.subject_id == secret["id"])
                .order_by(EventRecord.seq)
            )
        ).all()
    assert [event.type for event in events] == [
        "secret.created",
        "secret.updated",
        "secret.deleted",
    ]
    assert events[1].data["changed"] == ["key", "service"]
    assert KEY not in str([event.data for event in events])


async def test_a_value_can_be_taken_away_and_can_expire(people: People, muster: Muster) -> None:
    secret = await made(people)
    path = f"/api-keys/{secret['id']}"

    cleared = (await people.editor.put(path, json={"value": None})).json()
    assert (cleared["value"], cleared["key_hint"]) == ("Not set", None)
    with pytest.raises(SecretNotSet):
        await muster.vault.value(people.project_id, secret["name"])

    past = clock.iso(clock.now() - timedelta(seconds=1))
    await people.editor.put(path, json={"value": KEY, "expires_at": past})
    with pytest.raises(SecretExpired):
        await muster.vault.value(people.project_id, secret["name"])
    async with muster.database.read() as session:
        assert not await vault_of(muster, session, people.project_id).exists(secret["name"])

    future = clock.iso(clock.now() + timedelta(hours=1))
    await people.editor.put(path, json={"expires_at": future})
    assert await muster.vault.value(people.project_id, secret["name"]) == KEY


async def test_use_is_noted_now_and_then(people: People, muster: Muster) -> None:
    secret = await made(people)
    path = f"/api-keys/{secret['id']}"

    await muster.vault.value(people.project_id, secret["id"])
    first = (await people.viewer.get(path)).json()
    await muster.vault.value(people.project_id, secret["id"])
    second = (await people.viewer.get(path)).json()
    async with muster.database.write() as session:
        long_ago = clock.now() - timedelta(hours=1)
        await session.execute(update(Secret).values(last_used_at=long_ago))
    await muster.vault.value(people.project_id, secret["id"])
    third = (await people.viewer.get(path)).json()

    assert first["last_used_at"] is not None
    assert first["updated_at"] == secret["updated_at"]
    assert second == first
    assert third["last_used_at"] >= first["last_used_at"]


async def test_slices_set_and_look_up_values(people: People, muster: Muster) -> None:
    async with muster.database.write() as session:
        vault = vault_of(muster, session, people.project_id)
        await vault.set("provider", "one", service="openai")
    async with muster.database.write() as session:
        vault = vault_of(muster, session, people.project_id)
        await vault.set("provider", "two")
        assert await vault.get_value("provider") == "two"
        usable = await usable_secrets(session, people.project_id, ["provider", "other"])
        assert usable == {"provider"}
        assert await usable_secrets(session, people.project_id, []) == set()
        assert await vault.exists("provider")

    assert len((await people.viewer.get("/api-keys")).json()["items"]) == 1


async def test_a_row_moved_to_another_secret_does_not_open(people: People, muster: Muster) -> None:
    await made(people)
    await made(people, name="other", key="another-secret-value")
    async with muster.database.write() as session:
        rows = {row.name: row for row in await session.scalars(select(Secret))}
        rows["other"].ciphertext = rows["OpenAI API Key"].ciphertext
        rows["other"].wrapped_key = rows["OpenAI API Key"].wrapped_key

    with pytest.raises(SealBroken):
        await muster.vault.value(people.project_id, "other")


async def test_another_master_key_is_refused_while_secrets_exist(
    people: People, muster: Muster, settings: Settings
) -> None:
    await made(people)
    other = settings.model_copy(
        update={"data_dir": settings.data_dir / "elsewhere", "master_key": None}
    )

    second = Muster(other, engine="off")
    with pytest.raises(MasterKeyMismatch, match=r"MUSTER_MASTER_KEY, or the file master\.key"):
        await second.__aenter__()
    await second.database.dispose()

    async with Muster(settings, engine="off"):
        pass


async def test_another_master_key_is_taken_while_there_are_no_secrets(
    muster: Muster, settings: Settings
) -> None:
    other = settings.model_copy(
        update={"data_dir": settings.data_dir / "elsewhere", "master_key": None}
    )

    async with Muster(other, engine="off") as second:
        assert isinstance(second.master_key, MasterKey)
        async with second.database.read() as session:
            known = (await session.scalars(select(KnownMasterKey.key_id))).all()
            secrets = await session.scalar(text("SELECT count(*) FROM secrets"))

    assert set(known) == {muster.master_key.id, second.master_key.id}
    assert secrets == 0
