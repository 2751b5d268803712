"""What people read in e-mails and chats about an incident."""

from dataclasses import dataclass
from typing import Any

_HAPPENED = {
    "incident.opened": "incident opened",
    "incident.repeated": "incident keeps happening",
    "incident.acknowledged": "incident acknowledged",
    "incident.resolved": "incident resolved",
    "incident.ignored": "incident ignored",
    "incident.reactivated": "incident reactivated",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A title and a text."""

    title: str
    text: str


def words_for(message: dict[str, Any]) -> Words:
    """Put a message into words."""
    incident, agent = message["data"]["incident"], message["data"]["agent"]
    severity = str(incident["severity"])
    title = f"{severity.capitalize()} {_HAPPENED[message['type']]}: {incident['title']}"
    facts = (
        ("Policy", incident["policy_name"]),
        ("Severity", severity),
        ("Status", incident["status"]),
        ("Agent", f"{agent['name']} ({agent['key']})" if agent else incident["agent_id"]),
        ("Environment", incident["environment"]),
        ("Task", incident["task_id"]),
        ("Run", incident["run_id"]),
        ("Times", incident["count"]),
        ("Last", incident["last_occurrence"]),
        ("Incident", message["data"]["url"] or incident["id"]),
        ("Sent by", f"the action {message['action']['name']} of Muster"),
    )
    lines = [f"{name}: {value}" for name, value in facts if value]
    text = "\n".join([str(incident["description"]), "", *lines])
    sample = "This is a sample; nothing has happened.\n\n" if message.get("test") else ""
    return Words(title, sample + text)


def sample_message(
    message_id: str, project_id: str, action_id: str, action_name: str, timestamp: str
) -> dict[str, Any]:
    """Return a message as receivers get it, about an incident that never was."""
    incident = {
        "id": message_id,
        "title": "Policy Sample policy was broken",
        "description": "The step send of the task sample does not keep to the policy Sample "
        "policy. It was blocked.",
        "severity": "low",
        "status": "open",
        "action": "block",
        "count": 1,
        "policy_id": None,
        "policy_name": "Sample policy",
        "rule_type": None,
        "agent_id": None,
        "environment": None,
        "task_id": "sample",
        "run_id": None,
        "step_name": "send",
        "step_kind": "step.message",
        "first_occurrence": timestamp,
        "last_occurrence": timestamp,
    }
    return {
        "id": message_id,
        "type": "incident.opened",
        "timestamp": timestamp,
        "sequence": None,
        "project_id": project_id,
        "action": {"id": action_id, "name": action_name},
        "test": True,
        "data": {"incident": incident, "agent": None, "url": None},
    }
