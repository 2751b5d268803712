"""Who the agent is: told to the platform once, and again when it has forgotten."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from muster.sdk.decisions import INACTIVE
from muster.sdk.health import Counters
from muster.sdk.platform import Away, Platform, Refused
from muster.sdk.values import dumps


class Registration:
    """The agent's profile, and the id that the platform has given it.

    Args:
        platform: The platform.
        profile: The body of `POST /agents`.
        counters: Where it is said whether the agent is registered.
    """

    def __init__(self, platform: Platform, profile: Mapping[str, Any], counters: Counters) -> None:
        self._platform, self._body, self._counters = platform, dumps(dict(profile)), counters
        self._lock = Lock()
        self._answer: dict[str, Any] | None = None
        self.is_inactive = False
        """Whether the platform has refused it because the agent was deactivated."""

    def ensure(self) -> str:
        """Return the agent's id; raises `Away` or `Refused` where there is none."""
        answer = self._answer
        return str((answer or self.renew())["agent_id"])

    def renew(self) -> dict[str, Any]:
        """Register, and return the platform's answer."""
        with self._lock:
            try:
                answer = self._platform.post("/agents", self._body)
            except Refused as error:
                self.is_inactive = error.code == INACTIVE
                raise
            self.is_inactive = False
            if not isinstance(answer.get("agent_id"), str):
                raise Away("the answer to the registration names no agent")
            self._answer = answer
        self._counters.set(registered=True, reachable=True)
        return answer

    @property
    def agent_id(self) -> str | None:
        """The agent's id, once it is known."""
        return None if self._answer is None else str(self._answer["agent_id"])

    def forget(self) -> None:
        """Register anew before the next call."""
        self._answer = None
        self._counters.set(registered=False)

    def unlock(self, counters: Counters) -> None:
        """Begin anew in a process that was forked: its other threads are not here."""
        self._lock, self._counters = Lock(), counters
        counters.set(registered=self._answer is not None)
