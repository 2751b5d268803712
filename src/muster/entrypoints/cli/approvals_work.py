"""What the commands of `muster approvals` do."""

import json
from typing import Any

from sqlalchemy import select

from muster.domains.control.approvals import Approval
from muster.domains.control.approvals.schemas import ApprovalOut, ApproveRequest, RejectRequest
from muster.entrypoints.cli.deciding import approve, reject
from muster.entrypoints.cli.local import Installation, opened
from muster.entrypoints.cli.screen import call_text
from muster.entrypoints.cli.terminal import (
    Refusal,
    ago,
    say,
    short_id,
    show_json,
    show_table,
    shown_id,
    tell,
)

_MOST = 200


async def show_approvals(*, decided: bool, as_json: bool) -> None:
    """Print a list of approvals."""
    async with opened() as installation:
        statement = select(Approval).order_by(Approval.created_at.desc()).limit(_MOST)
        if not decided:
            statement = statement.where(Approval.status == "pending")
        async with installation.database.read() as session:
            approvals = list(await session.scalars(statement))
    if as_json:
        show_json([ApprovalOut.model_validate(a).model_dump(mode="json") for a in approvals])
        return
    rows = [
        (
            shown_id(approval.id),
            approval.status,
            approval.title,
            call_text(approval.details.get("arguments")) or "-",
            shown_id(approval.run_id or "-"),
            ago(approval.created_at),
        )
        for approval in approvals
    ]
    columns = ("ID", "STATUS", "TITLE", "ARGUMENTS", "RUN", "ASKED")
    show_table(columns, rows, empty="Nothing waits for a decision.")


async def say_yes(
    reference: str, reason: str | None, arguments: str | None, choice: str | None
) -> None:
    """Approve."""
    body = ApproveRequest.model_validate(
        {"reason": reason, "arguments": _arguments(arguments), "choice": choice}
    )
    async with opened("submit") as installation:
        approval = await approve(installation, await installation.approval(reference), body)
        await _tell(installation, approval)


async def say_no(reference: str, reason: str | None, *, end_run: bool) -> None:
    """Reject."""
    body = RejectRequest(reason=reason, end_run=end_run)
    async with opened("submit") as installation:
        approval = await reject(installation, await installation.approval(reference), body)
        await _tell(installation, approval)


async def _tell(installation: Installation, approval: Approval) -> None:
    say(f"{approval.title}: {approval.status}.")
    if approval.run_id is None:
        return
    run = short_id(approval.run_id)
    if await installation.executors():
        tell(f"The run goes on; `muster runs watch {run}` shows it.")
    else:
        tell(f"No process executes runs now: `muster runs resume {run}` goes on with it here.")


def _arguments(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refusal(f"--arguments is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refusal('--arguments takes an object, such as \'{"path": "a.txt"}\'.')
    return value  # pyright: ignore[reportUnknownVariableType]
