"""Request and response bodies of approvals."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, RecordOut, UtcTime

Reason = Annotated[
    str | None,
    Field(
        max_length=4000,
        description="Why; the run's model is told.",
        examples=["Checked with the customer."],
        validation_alias=AliasChoices("reason", "comment"),
    ),
]


class ApprovalList(ListParams):
    """Filters of the list of approvals."""

    status: Annotated[
        Literal["pending", "approved", "rejected", "cancelled", "expired", "all"],
        Field(description="Only these; `all` for every one."),
    ] = "pending"
    run_id: Annotated[
        str | None,
        Field(
            description="Only of this run.",
            validation_alias=AliasChoices("run_id", "execution_id"),
        ),
    ] = None
    agent_id: Annotated[str | None, Field(description="Only about this agent.")] = None
    kind: Annotated[
        Literal[
            "tool_call",
            "uncertain_step",
            "approval",
            "input",
            "task_output",
            "manual",
            "agent_review",
        ]
        | None,
        Field(
            description="Only of this kind: a step, a node of a plan (`approval`, `input`), what a "
            "task came to, asked for by hand (`manual`), or by an action about an agent."
        ),
    ] = None


class ApprovalCreate(In):
    """A question asked by hand: nothing happens by itself when it is answered."""

    title: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            examples=["Refund order 1042?"],
            validation_alias=AliasChoices("title", "name"),
        ),
    ]
    description: Annotated[str, Field(max_length=10_000)] = ""
    details: Annotated[
        dict[str, Any],
        Field(
            description="Shown to those who decide.",
            validation_alias=AliasChoices("details", "payload", "context"),
        ),
    ] = {}  # noqa: RUF012 - Pydantic copies it
    agent_id: Annotated[str | None, Field(max_length=36)] = None
    expires_at: Annotated[UtcTime | None, Field(description="Unanswered until then: expired.")] = (
        None
    )


class ApproveRequest(In):
    """A yes."""

    reason: Reason = None
    arguments: Annotated[
        dict[str, Any] | None,
        Field(description="Arguments to call the tool with in the place of the asked ones."),
    ] = None
    choice: Annotated[
        Literal["retry", "skip", "fail"] | None,
        Field(description="For an uncertain step: call it again, go on without it, end the run."),
    ] = None


class RejectRequest(In):
    """A no."""

    reason: Reason = None
    end_run: Annotated[
        bool, Field(description="End the run; otherwise its model is told and goes on.")
    ] = False


class ApprovalOut(RecordOut):
    """A question to people and what became of it."""

    kind: str
    status: str
    title: str
    description: str
    run_id: str | None
    execution_id: Annotated[str | None, Field(validation_alias="run_id")]
    step_key: str | None
    agent_id: str | None
    details: dict[str, Any]
    arguments_hash: str | None
    arguments_schema: dict[str, Any] | None
    choices: list[str] | None
    requested_by_id: str
    requested_by_name: str
    expires_at: UtcTime | None
    decided_by_id: str | None
    decided_by_name: str | None
    decided_at: UtcTime | None
    reason: str | None
    choice: str | None
    arguments: dict[str, Any] | None
