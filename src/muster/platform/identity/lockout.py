"""Lockout: so many failed sign-ins with one e-mail, and it is locked for a while."""

from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Any

from sqlalchemy import Insert, case, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.settings import AuthSettings
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.identity.errors import AccountLocked
from muster.platform.identity.events import UserLocked
from muster.platform.identity.models import SignInFailures

_FORGOTTEN_AT_ONCE = 100


class Lockout:
    """Counts failures in the database: several processes count together, a restart forgets none."""

    def __init__(self, session: AsyncSession, auth: AuthSettings) -> None:
        self._session = session
        self._attempts = auth.lockout_attempts
        self._period = timedelta(minutes=auth.lockout_minutes)

    async def require_unlocked(self, email: str, *, wait: bool) -> None:
        """Raise `AccountLocked` while the lock lasts.

        Args:
            email: The e-mail that is tried.
            wait: Wait for others that count for the same e-mail right now, so that guesses made at
                the same time cannot pass the limit together.
        """
        if not self._attempts:
            return
        if wait:
            statement = self._upsert(
                email, failures=0, on_conflict={"failures": SignInFailures.failures}
            )
            found = await self._session.execute(statement.returning(SignInFailures.locked_until))
            self._refuse(found.scalar_one())
            return
        known = select(SignInFailures.locked_until).where(SignInFailures.email_hash == _hash(email))
        self._refuse(await self._session.scalar(known))

    @staticmethod
    def _refuse(until: datetime | None) -> None:
        left = (until - clock.now()).total_seconds() if until else 0
        if left > 0:
            seconds = str(ceil(left))
            raise AccountLocked(
                f"Too many failed sign-ins; try again in {seconds} seconds.",
                headers={"Retry-After": seconds},
            )

    async def count_failure(self, caller: Caller, email: str, user_id: str | None) -> None:
        """Count one more failure; the one that reaches the limit locks."""
        if not self._attempts:
            return
        statement = self._one_more(email).returning(SignInFailures.failures)
        failures: int = (await self._session.execute(statement)).scalar_one()
        if failures == self._attempts:
            until = clock.now() + self._period
            await self._session.execute(
                update(SignInFailures)
                .where(SignInFailures.email_hash == _hash(email))
                .values(locked_until=until)
            )
            event = UserLocked(user_id=user_id, failures=failures, locked_until=clock.iso(until))
            events.record(self._session, caller, event)
        await self._forget_old()

    async def clear(self, email: str) -> None:
        """Forget the failures: the right password was given."""
        # Not deleted: whoever waits for the row must find it, or nobody would wait any more.
        await self._session.execute(
            update(SignInFailures)
            .where(SignInFailures.email_hash == _hash(email))
            .values(failures=0, locked_until=None)
        )

    def _one_more(self, email: str) -> Insert:
        now = clock.now()
        over = or_(
            SignInFailures.last_failed_at < now - self._period, SignInFailures.locked_until <= now
        )
        changes = {
            "failures": case((over, 1), else_=SignInFailures.failures + 1),
            "last_failed_at": now,
            "locked_until": case((over, None), else_=SignInFailures.locked_until),
        }
        return self._upsert(email, failures=1, on_conflict=changes)

    def _upsert(self, email: str, *, failures: int, on_conflict: dict[str, Any]) -> Insert:
        if self._session.get_bind().dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert
        statement = insert(SignInFailures).values(
            email_hash=_hash(email), failures=failures, last_failed_at=clock.now()
        )
        return statement.on_conflict_do_update(
            index_elements=[SignInFailures.email_hash], set_=on_conflict
        )

    async def _forget_old(self) -> None:
        # Skipping locked rows: two units of work that tidy up at once cannot wait for each other.
        old = (
            select(SignInFailures.email_hash)
            .where(SignInFailures.last_failed_at < clock.now() - self._period * 2)
            .limit(_FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await self._session.execute(
            delete(SignInFailures).where(SignInFailures.email_hash.in_(old))
        )


def _hash(email: str) -> str:
    return sha256(email.encode()).hexdigest()
