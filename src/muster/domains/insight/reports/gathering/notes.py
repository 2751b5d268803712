"""What a reader has to know to read the figures right, as far as it matters in this report."""

from dataclasses import replace

from muster.domains.insight.reports.document import Document

_ALWAYS: tuple[str, ...] = (
    "All times are in UTC. The end of the period is not part of it.",
    (
        "Runs are those that were created in the period; steps, decisions and costs are those of "
        "steps that ended in it. Definitions, statuses and policies are told as they were at the "
        "moment of the report, not as they were earlier."
    ),
    (
        "Decisions are those that the journal keeps with steps of runs on the platform. Steps that "
        "agents elsewhere logged are judged after the fact: what they violated is among the "
        "incidents."
    ),
)
_REPEATS = (
    "An incident counts each time that its policy was violated until somebody resolved it. Only "
    "the first and the last time have a date, so occurrences of an incident that began before the "
    "period or went on after it are all counted."
)
_MAPPING = (
    "The mapping tells which policies of a framework's template are active. That a policy is "
    "active does not mean that an article or item is met as a whole, and is no legal advice."
)
_AGENTS = (
    "The report is of some agents only. Changes, the log of events and the mapping are of the "
    "whole project."
)


def noted(document: Document) -> Document:
    """Return the document with its notes."""
    notes = list(_ALWAYS)
    cover, integrity = document.cover, document.integrity
    if cover.only_agents or cover.only_environment:
        notes.append(_AGENTS)
    if document.incidents.total:
        notes.append(_REPEATS)
    if document.frameworks:
        notes.append(_MAPPING)
    if document.costs.total.unpriced_calls:
        notes.append(
            f"{document.costs.total.unpriced_calls:,} calls of models have no known price and are "
            "in no amount."
        )
    if cover.period_to > cover.as_of:
        notes.append("The period had not ended when the report was made.")
    for what, total, shown in (
        ("agents", document.agents.total, len(document.agents.rows)),
        ("incidents", document.incidents.total, len(document.incidents.rows)),
        ("approvals", document.approvals.total, len(document.approvals.rows)),
        ("changes", document.changes.total, len(document.changes.rows)),
        ("invalid runs", integrity.runs_invalid, len(integrity.invalid)),
    ):
        if shown < total:
            notes.append(
                f"Of {total:,} {what} only {shown:,} are listed; all are counted. "
                "A shorter period, or the API, shows the others."
            )
    if document.activity.unreadable_steps or document.decisions.unreadable:
        notes.append(
            f"{document.activity.unreadable_steps:,} steps and {document.decisions.unreadable:,} "
            "decisions could not be read: they are not as the platform wrote them, and are not "
            "wholly in the figures."
        )
    return replace(document, notes=notes)
