"""Asks the person at the terminal what a run asks of people."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text
from sqlalchemy import select

from muster.domains.control.approvals import Approval, ApprovalService
from muster.domains.control.approvals.errors import ApprovalDecided
from muster.domains.control.approvals.schemas import ApproveRequest, RejectRequest
from muster.domains.work.journal import Run
from muster.entrypoints.cli.local import Installation
from muster.entrypoints.cli.screen import RunScreen
from muster.entrypoints.cli.terminal import short_id
from muster.kernel.errors import AppError

_CHUNK = 65_536


def can_ask() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def open_approvals(installation: Installation, run_id: str) -> Sequence[Approval]:
    """Return what a run and the runs that it started ask now, oldest first."""
    async with installation.database.read() as session:
        ids, layer = [run_id], [run_id]
        while layer:
            children = await session.scalars(select(Run.id).where(Run.parent_run_id.in_(layer)))
            layer = list(children)
            ids += layer
        statement = (
            select(Approval)
            .where(Approval.run_id.in_(ids), Approval.status == "pending")
            .order_by(Approval.created_at, Approval.id)
        )
        return (await session.scalars(statement)).all()


def shown_facts(approval: Approval) -> Mapping[str, Any]:
    """Return what a person should see before the answer: arguments of a call, inputs of a node."""
    details = approval.details
    return details.get("arguments") or details.get("inputs") or {}


def answers(approval: Approval) -> list[str]:
    """Return the commands that answer an approval."""
    yes = f"muster approvals approve {short_id(approval.id)}"
    no = f"muster approvals reject {short_id(approval.id)}"
    if approval.kind == "input":
        fields = (approval.arguments_schema or {}).get("properties", {})
        given = json.dumps(dict.fromkeys(fields, "..."), ensure_ascii=False)
        return [f"{yes} --arguments '{given}'", f"{no} --reason ..."]
    if approval.kind == "task_output":
        better = f"{yes} --arguments '{json.dumps({'output': '...'})}'"
        return [yes, better, f"{no} --reason ...", f"{no} --end-run"]
    return [yes, f"{no} --reason ..."]


async def decide(installation: Installation, approval: Approval, screen: RunScreen) -> bool:
    """Put one approval to the person at the terminal. False when it is left for later."""
    screen.pause()
    try:
        _show(approval, screen)
        while True:
            try:
                return await _ask(installation, approval, screen)
            except ApprovalDecided as error:
                screen.console.print(Text(error.detail, style="yellow"))
                return True
            except (AppError, ValueError) as error:
                text = error.detail if isinstance(error, AppError) else f"This is no JSON: {error}"
                screen.console.print(Text(text, style="red"))
    finally:
        screen.resume()


def _show(approval: Approval, screen: RunScreen) -> None:
    facts = shown_facts(approval)
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    shown = Syntax(text, "json", background_color="default", word_wrap=True) if facts else None
    screen.console.print(
        Panel(
            shown or Text(approval.description),
            title=Text(approval.title),
            subtitle=Text(f"approval {short_id(approval.id)}"),
            border_style="yellow",
        )
    )
    if shown and approval.description:
        screen.console.print(Text(approval.description))


async def _ask(installation: Installation, approval: Approval, screen: RunScreen) -> bool:
    if approval.choices:
        question = f"{', '.join(approval.choices)} or later? "
    else:
        edit = "[e]dit the arguments, " if approval.arguments_schema else ""
        question = f"[a]pprove, [r]eject, {edit}[l]ater? "
    answer = (await _read_line(question, screen)).strip().lower()
    if approval.choices and answer in approval.choices:
        await approve(installation, approval, ApproveRequest.model_validate({"choice": answer}))
        return True
    if answer in {"l", "later", ""}:
        return False
    if not approval.choices:
        if answer in {"a", "approve", "y", "yes"}:
            await approve(installation, approval, ApproveRequest())
            return True
        if answer in {"r", "reject", "n", "no"}:
            reason = (await _read_line("Why? (the model is told) ", screen)).strip() or None
            await reject(installation, approval, RejectRequest(reason=reason))
            return True
        if answer in {"e", "edit"}:
            text = await _read_line("Arguments as one line of JSON: ", screen)
            arguments: Any = json.loads(text)
            if not isinstance(arguments, dict):
                raise ValueError('arguments are an object, such as {"path": "a.txt"}')
            await approve(installation, approval, ApproveRequest(arguments=arguments))  # pyright: ignore[reportUnknownArgumentType]
            return True
    return await _ask(installation, approval, screen)


async def approve(installation: Installation, approval: Approval, body: ApproveRequest) -> Approval:
    """Say yes in the name of the superadmin."""
    caller = await installation.caller(approval.project_id)
    decided = installation.muster.running.approval_decided
    async with installation.database.write() as session:
        return await ApprovalService(session, caller, decided).approve(approval.id, body)


async def reject(installation: Installation, approval: Approval, body: RejectRequest) -> Approval:
    """Say no in the name of the superadmin."""
    caller = await installation.caller(approval.project_id)
    decided = installation.muster.running.approval_decided
    async with installation.database.write() as session:
        return await ApprovalService(session, caller, decided).reject(approval.id, body)


async def _read_line(question: str, screen: RunScreen) -> str:
    """Return a line of standard input; empty at its end.

    A thread that waits for input could not be stopped by Ctrl-C, so the loop waits for it.
    """
    screen.console.print(Text(question, style="bold yellow"), end="")
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
        return os.read(descriptor, _CHUNK).decode(errors="replace")
    finally:
        loop.remove_reader(descriptor)
