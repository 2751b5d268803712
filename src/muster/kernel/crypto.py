"""Keys and ciphers: one master key, envelope encryption, purposes that cannot be mixed up."""

import base64
import os
import secrets
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class MasterKeyInvalid(ValueError):
    """The master key cannot be read; the text says what to do."""


class SealBroken(ValueError):
    """A sealed value was changed, moved to another place, or sealed with another key."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value: the data key wrapped by the master key, and the value under that key."""

    key_id: str
    wrapped_key: bytes
    ciphertext: bytes


class MasterKey:
    """256 bits from which every other key is derived or by which it is wrapped."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise MasterKeyInvalid(
                "The master key must be 32 bytes in base64; make one with: "
                "python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"
            )
        self._key = key
        self.id = sha256(b"muster key id" + key).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: str) -> "MasterKey":
        """Read a key from its base64 form (standard or URL alphabet)."""
        standard = text.strip().replace("-", "+").replace("_", "/")
        try:
            key = base64.b64decode(standard, validate=True)
        except ValueError as error:
            raise MasterKeyInvalid("The master key is not valid base64.") from error
        return cls(key)

    @classmethod
    def load(cls, text: str | None, path: Path) -> "MasterKey":
        """Take the key from `text`, else from the file, which is made (mode 0600) when absent."""
        if text:
            return cls.from_text(text)
        try:
            return cls.from_text(path.read_text(encoding="ascii", errors="replace"))
        except FileNotFoundError:
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
        # Written aside and linked: of two processes that start together one wins, both read it.
        # The draft's name is random (its mode is 0600): process ids repeat in containers.
        descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(encoded + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return cls.from_text(path.read_text(encoding="ascii"))

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose (HKDF-SHA-256)."""
        kdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode())
        return kdf.derive(self._key)

    def seal(self, value: str, *, context: str) -> Sealed:
        """Encrypt `value` under a data key of its own (AES-256-GCM).

        Args:
            value: The secret.
            context: Where the value lives; it can only be opened with the same context, so that a
                row copied to another tenant or secret does not decrypt.
        """
        data_key = AESGCM.generate_key(bit_length=256)
        bound = context.encode()
        return Sealed(
            key_id=self.id,
            wrapped_key=_encrypt(self.derive("wrap"), data_key, bound),
            ciphertext=_encrypt(data_key, value.encode(), bound),
        )

    def open(self, sealed: Sealed, *, context: str) -> str:
        """Decrypt a sealed value; raises `SealBroken` when anything does not fit."""
        bound = context.encode()
        try:
            data_key = _decrypt(self.derive("wrap"), sealed.wrapped_key, bound)
            return _decrypt(data_key, sealed.ciphertext, bound).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("The secret cannot be opened with this master key.") from error


def _encrypt(key: bytes, data: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def _decrypt(key: bytes, data: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound)
