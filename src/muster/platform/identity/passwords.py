"""Passwords: what is accepted, and Argon2 without stopping the rest of the process."""

import asyncio
import unicodedata
from functools import cache

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from muster.kernel.errors import FieldError
from muster.platform.identity.errors import WeakPassword

_AT_ONCE = 2
"""Each computation takes 64 MiB and a core for a tenth of a second."""

_COMMON_TEXT = """
00000000 11111111 12341234 12344321 12345678 123456789 1234567890 123123123 87654321 88888888
1q2w3e4r 1qaz2wsx abcd1234 abcdefgh adminadmin admin123 admin1234 administrator asdfasdf
asdfghjkl baseball basketball changeme charlie1 computer corvette dragon123 football iloveyou
internet jennifer letmein1 liverpool master123 michelle midnight monkey123 passw0rd password
password1 password12 password123 password1234 princess q1w2e3r4 qazwsxedc qwer1234 qwertyui
qwertyuiop qwerty123 samantha secret123 starwars sunshine superman test1234 testtest trustno1
welcome1 welcome123 whatever zxcvbnm1 zaq12wsx
"""
_COMMON = frozenset(_COMMON_TEXT.split())


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _decoy() -> str:
    return _hasher().hash("the password of nobody")


def _canonical(password: str) -> str:
    # Keyboards differ in how they compose an accented letter; the password is the same.
    return unicodedata.normalize("NFC", password)


class Passwords:
    """Checks, hashes and compares passwords.

    Args:
        min_length: Shortest password that is accepted.
    """

    def __init__(self, min_length: int) -> None:
        self.min_length = min_length
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def require_strong(self, password: str, *, email: str, field: str = "password") -> None:
        """Raise `WeakPassword` unless the password meets the policy."""
        folded = _canonical(password).casefold()
        email = email.casefold()
        problem = None
        if len(_canonical(password)) < self.min_length:
            problem = f"The password must have at least {self.min_length} characters."
        elif folded in _COMMON or len(set(folded)) == 1:
            problem = "The password is one of the first that attackers try; take another."
        elif folded in {email, email.split("@")[0]}:
            problem = "The password must not be the e-mail address."
        if problem:
            raise WeakPassword(problem, errors=[FieldError(field, problem)])

    async def hash(self, password: str) -> str:
        """Return the Argon2id hash. Call it before the first statement of a unit of work."""
        async with self._turn:
            return await asyncio.to_thread(_hasher().hash, _canonical(password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Compare; without a hash it takes as long as with one, and the answer is no."""
        async with self._turn:
            matches = await asyncio.to_thread(_verify, _canonical(password), hashed)
        return matches and hashed is not None


def _verify(password: str, hashed: str | None) -> bool:
    try:
        return _hasher().verify(password, hashed or _decoy())
    except UnknownHashError:
        return False
