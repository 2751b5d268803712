"""Checkpoints as signed notes, in the formats that transparency logs share (C2SP).

A checkpoint is a text: origin, number of leaves, head in base64, and here a line with the moment.
Under an empty line follow signatures: Ed25519 over the text, with the name and the id of the key.
"""

import base64
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_ED25519 = b"\x01"
_ID_BYTES, _KEY_BYTES, _HASH_BYTES = 4, 32, 32
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_PARTS_OF_A_KEY = 3


class NoteInvalid(ValueError):
    """A text is not a signed checkpoint, or not a public key; it says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checkpoints are verified with."""

    name: str
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> "PublicKey":
        """Name a key, 32 bytes, as Muster names it."""
        return cls(f"muster-audit-{sha256(raw).hexdigest()[:16]}", raw)

    @property
    def id(self) -> str:
        """Eight hexadecimal digits, by which signatures name the key."""
        named = self.name.encode() + b"\n" + _ED25519 + self.raw
        return sha256(named).digest()[:_ID_BYTES].hex()

    @property
    def base64(self) -> str:
        return base64.b64encode(self.raw).decode()

    @property
    def text(self) -> str:
        """The key as one line that other verifiers of signed notes take as well."""
        return f"{self.name}+{self.id}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read a key: `name+id+base64`, its 32 bytes in base64, or PEM."""
        text = text.strip()
        if text.startswith("-----"):
            return cls.of(_from_pem(text))
        parts = text.split("+", 2)
        if len(parts) == _PARTS_OF_A_KEY and re.fullmatch("[0-9a-f]{8}", parts[1]):
            raw = _decoded(parts[2])
            if raw[:1] != _ED25519 or len(raw) != _KEY_BYTES + 1:
                raise NoteInvalid("this is not an Ed25519 key")
            key = cls(parts[0], raw[1:])
            if key.id != parts[1]:
                raise NoteInvalid("the id of the key does not fit the key")
            return key
        raw = _decoded(text)
        if len(raw) != _KEY_BYTES:
            raise NoteInvalid("an Ed25519 public key has 32 bytes")
        return cls.of(raw)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether a signature over a text was made with this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state of a log: its first `size` events, and the head of the tree over them."""

    origin: str
    size: int
    root: bytes
    created_at: str

    @property
    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\ncreated {self.created_at}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with its signatures: name and id of the key, and the signature itself."""

    checkpoint: Checkpoint
    signatures: list[tuple[str, str, bytes]]

    def signed_by(self, key: PublicKey) -> bool:
        """Tell whether one of the signatures was made with this key."""
        return any(
            (name, id_) == (key.name, key.id) and key.verifies(self.checkpoint.text, signature)
            for name, id_, signature in self.signatures
        )


def origin_of(chain: str) -> str:
    """Return the name of a chain's log in its checkpoints."""
    return f"muster/audit/{chain}"


def sign(checkpoint: Checkpoint, pair: Ed25519PrivateKey) -> bytes:
    """Return the signature over a checkpoint."""
    return pair.sign(checkpoint.text.encode())


def written(checkpoint: Checkpoint, key_name: str, key_id: str, signature: bytes) -> str:
    """Return the signed note."""
    signed = base64.b64encode(bytes.fromhex(key_id) + signature).decode()
    return f"{checkpoint.text}\n— {key_name} {signed}\n"


def read_note(text: str) -> Note:
    """Read a signed note; whether the signatures are good is not looked at.

    Raises:
        NoteInvalid: It is none, or not written in the one way in which it may be written.
    """
    body, separator, rest = text.partition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 4 or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004
        raise NoteInvalid("this is not a checkpoint")
    origin, size, root, created = lines
    checkpoint = Checkpoint(origin, int(size), _decoded(root), created.removeprefix("created "))
    if len(checkpoint.root) != _HASH_BYTES or checkpoint.text != f"{body}\n":
        raise NoteInvalid("this is not a checkpoint")
    signatures: list[tuple[str, str, bytes]] = []
    for line in rest.removesuffix("\n").split("\n"):
        found = _SIGNATURE.fullmatch(line)
        if found is None:
            raise NoteInvalid("a signature of the checkpoint cannot be read")
        signed = _decoded(found[2])
        signatures.append((found[1], signed[:_ID_BYTES].hex(), signed[_ID_BYTES:]))
    return Note(checkpoint, signatures)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NoteInvalid("this is not base64") from error


def _from_pem(text: str) -> bytes:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, TypeError) as error:
        raise NoteInvalid("this PEM holds no public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NoteInvalid("this is not an Ed25519 key")
    return key.public_bytes_raw()
