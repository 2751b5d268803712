"""Random secrets of which only a hash is stored."""

import secrets
import string
from hashlib import sha256

KEY_PREFIX = "mst_"
_SECRET_BYTES = 32
_ALPHABET = string.digits + string.ascii_letters
_SECRET_LENGTH = 43
"""Characters that 32 bytes take in base 62."""


def new_secret(prefix: str) -> str:
    """Return `prefix` and 32 random bytes in base 62."""
    number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES))
    digits: list[str] = []
    for _ in range(_SECRET_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return prefix + "".join(reversed(digits))


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret; with 256 random bits nothing slower is needed."""
    return sha256(secret.encode()).hexdigest()
