"""A running application with people, in which the sweeps make real objects as they need them."""

import json as json_module
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from muster.entrypoints.assembly import Muster
from muster.kernel.ids import new_id
from muster.kernel.settings import Settings
from muster.platform.access import AGENT_KEY_SCOPES, PlatformRole, scopes_of
from muster.platform.identity import Device, User, open_session
from muster.platform.identity.passwords import Passwords
from tests.support.accounts import ROLES, Accounts, make_accounts
from tests.sweeps.calling import Answer, Loop, ask, query_of
from tests.sweeps.document import Operation
from tests.sweeps.factories import BASE, factory_of, resource_of

QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
"""What Hypothesis must not complain about: requests are slow, and some operations take little."""

AGENT = "agent"
"""The person who is no person: a key of kind agent, which may do less than anybody."""

LADDER = [AGENT, *(name for name in reversed(ROLES) if name != "outsider")]
"""People of the shared project, from the one who may do least to the one who may do all."""


def scopes_held(person: str) -> frozenset[str]:
    """Return what a person of the shared project may do."""
    return AGENT_KEY_SCOPES if person == AGENT else scopes_of(*ROLES[person])


class QuickPasswords(Passwords):
    """Passwords whose hashes are weak and cost nothing: sweeps make hundreds."""

    _hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))

    async def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and self._hasher.verify(password, hashed)


class World:
    """The application, its people, and the objects that they have made.

    Args:
        settings: Settings of the application.
    """

    def __init__(self, settings: Settings) -> None:
        self.muster = Muster(settings, engine="off")
        passwords = QuickPasswords(settings.auth.password_min_length)
        self.muster.credentials.passwords = passwords
        self._loop = Loop()
        self._objects: dict[tuple[str, ...], str] = {}
        self.tokens: dict[str, str] = {}
        self.accounts: Accounts

    @contextmanager
    def open(self) -> Iterator["World"]:
        """Run the application."""
        self._loop.run(self.muster.__aenter__())
        try:
            self.accounts = self._loop.run(make_accounts(self.muster))
            self.tokens = dict(self.accounts.tokens)
            body = {"name": "sweeps", "kind": "agent"}
            made = self.call("POST", BASE + "/security/api-keys", "owner", json=body)
            self.tokens[AGENT] = made.json()["key"]
            yield self
        finally:
            self._loop.run(self.muster.__aexit__(None, None, None))
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do in the application's loop what no request does."""
        return self._loop.run(work)

    def project_of(self, person: str) -> str:
        """Return the project that a person works in."""
        if person == "outsider":
            return self.accounts.other_project_id
        return self.accounts.project_id

    def call(
        self,
        method: str,
        path: str,
        person: str | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        json: Any = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send a request as a person, or as nobody."""
        sent: dict[str, str | bytes] = {}
        if person is not None:
            sent["authorization"] = f"Bearer {self.tokens[person]}"
        if json is not None:
            content = json_module.dumps(json).encode()
        if content is not None:
            sent["content-type"] = "application/json"
        sent |= headers or {}
        target = path + query_of(params)
        return self._loop.run(
            ask(self.muster.app, method, target, headers=sent, content=content or b"")
        )

    def perform(self, operation: Operation, person: str | None = None, **options: Any) -> Answer:
        """Call an operation with ids that nobody has, unless `path` says otherwise."""
        path = options.pop("path", None) or self.path(operation)
        params = operation.smallest_query() | options.pop("params", {})
        answer = self.call(operation.method, path, person, params=params, **options)
        if operation.id == "logout" and answer.status == 204 and person is not None:
            self.sign_in(person)
        return answer

    def path(self, operation: Operation, owner: str | None = None, **given: str) -> str:
        """Return the operation's path with the objects of a person, or with made-up ids."""
        values: dict[str, str] = {}
        for name in operation.path_parameters:
            if name in given:
                values[name] = given[name]
            elif owner is None:
                values[name] = "1" if name == "version" else new_id()
            else:
                values[name] = self.object_of(owner, operation.path, name, values)
        return operation.path.format_map(values)

    def path_to(self, operation: Operation, owner: str, parameter: str, value: str) -> str:
        """Return the operation's path with one value, behind objects of a person."""
        names = operation.path_parameters
        given: dict[str, str] = {}
        for name in names[: names.index(parameter)]:
            given[name] = self.object_of(owner, operation.path, name, given)
        return self.path(operation, **given, **{parameter: value})

    def object_of(
        self, person: str, path: str, parameter: str, given: dict[str, str] | None = None
    ) -> str:
        """Return the id of an object of a person for a parameter of a path; made once."""
        factory, before = factory_of(path, parameter), given or {}
        key = (person, resource_of(path, parameter), *before.values())
        if key not in self._objects:
            self._objects[key] = factory.make(self, person, before)
        return self._objects[key]

    def forget(self) -> None:
        """Make new objects from now on."""
        self._objects.clear()

    def add_user(self) -> str:
        """Make an account that takes part in nothing."""

        async def make() -> str:
            async with self.muster.database.write() as session:
                name = new_id()
                user = User(email=f"{name}@muster.test", name=name, role=PlatformRole.USER.value)
                session.add(user)
                await session.flush()
                return user.id

        return self._loop.run(make())

    def sign_in(self, person: str) -> None:
        """Give a person a new session: sweeps also end sessions."""

        async def make() -> str:
            async with self.muster.database.write() as session:
                user = await session.get_one(User, self.accounts.ids[person])
                device = Device(ip="127.0.0.1", user_agent="sweeps")
                _, opened = await open_session(session, self.muster.credentials, user, device)
                return opened.access_token

        self.tokens[person] = self._loop.run(make())
