"""Query parameters and response bodies of the audit log."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from muster.kernel.paging import CursorParams
from muster.kernel.schemas import Out, UtcTime
from muster.platform.audit.exporting import Bound
from muster.platform.audit.models import AuditCheckpoint, AuditKey
from muster.platform.audit.notes import PublicKey, origin_of, written
from muster.platform.audit.verifying import Problem, checkpoint_of

MAX_SEQ = 2**31 - 1

Hash = Annotated[str, Field(description="SHA-256, 64 hexadecimal digits.")]


def bound_of(text: str) -> Bound:
    """Read a number of an event, or a moment; one without a zone is in UTC."""
    if text.isascii() and text.isdecimal():
        if not 1 <= int(text) <= MAX_SEQ:
            raise ValueError(f"numbers of events are from 1 to {MAX_SEQ}")
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "give a number of an event, or a moment such as 2026-01-31T00:00:00Z"
        ) from error


def _checked(text: str) -> str:
    bound_of(text)
    return text


BoundText = Annotated[
    str, Field(min_length=1, max_length=40, examples=["1"]), AfterValidator(_checked)
]


class ChainParams(BaseModel):
    """Which log."""

    chain: Annotated[
        Literal["project", "platform"],
        Field(description="That of the project, or of the platform (for admins)."),
    ] = "project"


class CheckpointList(CursorParams, ChainParams):
    """Which checkpoints to list."""


class InclusionParams(ChainParams):
    """What is in which tree."""

    event_id: Annotated[
        str | None,
        Field(max_length=36, description="The event; absent: the newest one of the tree."),
    ] = None
    size: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_SEQ,
            description="Events in the tree; absent: all, and a checkpoint is made of it.",
        ),
    ] = None


class ConsistencyParams(ChainParams):
    """Which trees."""

    first: Annotated[int, Field(ge=1, le=MAX_SEQ, description="Events in the earlier tree.")]
    second: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_SEQ,
            description="Events in the later tree; absent: all, and a checkpoint is made of it.",
        ),
    ] = None


class ExportParams(ChainParams):
    """Which events to export."""

    begin: Annotated[
        BoundText | None,
        Field(
            alias="from",
            description="Number of the first event, or the moment from which on it was recorded; "
            "absent: the first.",
        ),
    ] = None
    end: Annotated[
        BoundText | None,
        Field(
            alias="to",
            description="Number of the last event, or the moment until which it was recorded; "
            "absent: the newest.",
        ),
    ] = None

    @property
    def bounds(self) -> tuple[Bound | None, Bound | None]:
        begin, end = (bound_of(text) if text else None for text in (self.begin, self.end))
        return begin, end


class CheckpointOut(Out):
    """A signed state of a log. `note` is the signed text itself."""

    id: Annotated[str, Field(description="UUIDv7.")]
    origin: Annotated[str, Field(description="Which log it is.")]
    size: Annotated[int, Field(description="Its first events, which the checkpoint is of.")]
    root: Annotated[str, Field(description="Head of the Merkle tree over them, hexadecimal.")]
    key_id: Annotated[str, Field(description="Key that it is signed with.")]
    signature: Annotated[str, Field(description="Ed25519 signature, base64.")]
    note: Annotated[
        str,
        Field(description="Checkpoint as a signed note. Keep it where this server cannot reach."),
    ]
    created_at: UtcTime

    @classmethod
    def of(cls, row: AuditCheckpoint, key_name: str) -> "CheckpointOut":
        """Show a row."""
        return cls(
            id=row.id,
            origin=origin_of(row.chain),
            size=row.size,
            root=row.root,
            key_id=row.key_id,
            signature=base64.b64encode(row.signature).decode(),
            note=written(checkpoint_of(row), key_name, row.key_id, row.signature),
            created_at=row.created_at,
        )


class AuditKeyOut(Out):
    """A public key of checkpoints."""

    id: Annotated[str, Field(description="Named by the signatures.")]
    name: str
    algorithm: Literal["Ed25519"]
    public_key: Annotated[str, Field(description="32 bytes in base64.")]
    verifier_key: Annotated[str, Field(description="Name, id and key in one line.")]
    is_current: Annotated[bool, Field(description="Whether new checkpoints are signed with it.")]
    created_at: UtcTime

    @classmethod
    def of(cls, row: AuditKey, current_id: str) -> "AuditKeyOut":
        """Show a row."""
        key = PublicKey(row.name, row.public_key)
        return cls(
            id=row.id,
            name=row.name,
            algorithm="Ed25519",
            public_key=key.base64,
            verifier_key=key.text,
            is_current=row.id == current_id,
            created_at=row.created_at,
        )


class AuditKeysOut(BaseModel):
    """All public keys that checkpoints were ever signed with, the newest first."""

    keys: list[AuditKeyOut]


class InclusionProofOut(Out):
    """Proof that an event is in a tree, as in RFC 9162."""

    event_id: str
    seq: int
    leaf_index: Annotated[int, Field(description="Place of the leaf, from 0: `seq` less one.")]
    event_hash: Annotated[str, Field(description="Hash of the event; its bytes are the leaf.")]
    size: Annotated[int, Field(description="Events in the tree.")]
    root: Hash
    proof: Annotated[list[str], Field(description="Hashes from the leaf to the head.")]


class ConsistencyProofOut(Out):
    """Proof that a tree begins with an earlier one, as in RFC 9162."""

    first: int
    second: int
    first_root: Hash
    second_root: Hash
    proof: list[str]


class AuditVerificationOut(Out):
    """Whether a log is as it was written and signed."""

    valid: bool
    events: Annotated[int, Field(description="Events found to be right, from the first on.")]
    checkpoints: Annotated[int, Field(description="Checkpoints that they were found to fit.")]
    tree_size: Annotated[int, Field(description="Events in the stored tree.")]
    head_seq: Annotated[int, Field(description="Number that the head of the chain names.")]
    head_hash: str
    first_bad_seq: int | None
    problem: Annotated[Problem | None, Field(description="Kind of the first problem.")]
    reason: str | None
