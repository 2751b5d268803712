"""The people of a test: one for each role."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from tests.support.accounts import Accounts


@dataclass(frozen=True, slots=True)
class People:
    """Clients that are signed in; all but the outsider work in one project."""

    superadmin: httpx2.AsyncClient
    admin: httpx2.AsyncClient
    owner: httpx2.AsyncClient
    editor: httpx2.AsyncClient
    operator: httpx2.AsyncClient
    viewer: httpx2.AsyncClient
    outsider: httpx2.AsyncClient
    project_id: str
    other_project_id: str


def signed_in(accounts: Accounts, connect: Callable[..., httpx2.AsyncClient]) -> People:
    """Make a client for each person."""

    def client(name: str) -> httpx2.AsyncClient:
        return connect(Authorization=f"Bearer {accounts.tokens[name]}")

    return People(
        superadmin=client("superadmin"),
        admin=client("admin"),
        owner=client("owner"),
        editor=client("editor"),
        operator=client("operator"),
        viewer=client("viewer"),
        outsider=client("outsider"),
        project_id=accounts.project_id,
        other_project_id=accounts.other_project_id,
    )
