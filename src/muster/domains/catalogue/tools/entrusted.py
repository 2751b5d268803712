"""Built-in tools that other slices carry out: memory, messages, collaboration, code reviews.

What they are is said here, so that agents can be checked without those slices; what they do is
handed to the tools as `ToolServices.acts`. All answer the same when a step of a run tries again.
"""

from typing import Any

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.services import ToolServices
from muster.domains.catalogue.tools.shipping import Builtin, Perform, count, object_of, text


def _by(name: str) -> Perform:
    async def perform(
        arguments: dict[str, Any], context: ToolContext, services: ToolServices
    ) -> ToolOutcome:
        return await services.acts()[name](arguments, context)

    return perform


def _entrusted(
    name: str,
    title: str,
    description: str,
    parameters: dict[str, Any],
    *,
    kind: str,
    verb: str,
) -> Builtin:
    return Builtin(
        name=name,
        title=title,
        description=description,
        parameters=parameters,
        perform=_by(name),
        step_kind=kind,
        verb=verb,
        entrusted=True,
    )


def _reference(what: str) -> dict[str, Any]:
    return text(what, minLength=1, maxLength=255)


_FILE = object_of(
    ("path",),
    path=text("Path of the file.", minLength=1, maxLength=500),
    content=text("The file as it is now.", maxLength=200_000),
    diff=text("What changed in it, as a unified diff.", maxLength=200_000),
)

ENTRUSTED: tuple[Builtin, ...] = (
    _entrusted(
        "remember",
        "Remember",
        "Keep a fact in your own memory, for later runs. Write it so that it can be understood "
        "without this conversation.",
        object_of(
            ("content",),
            content=text("What to remember.", minLength=1, maxLength=4_000),
            category=text(
                "One word that says of which kind it is, such as preference or decision.",
                default="general",
                maxLength=64,
            ),
            importance={
                "type": "integer",
                "minimum": 1,
                "maximum": 10,
                "default": 5,
                "description": "10: never to be forgotten. 1: of little use.",
            },
            tags={
                "type": "array",
                "items": text("A word to find it by.", minLength=1, maxLength=64),
                "maxItems": 20,
                "default": [],
            },
        ),
        kind="step.self",
        verb="POST",
    ),
    _entrusted(
        "recall",
        "Recall",
        "Find what you have remembered in earlier runs, by the words in it, best first.",
        object_of(
            ("query",),
            query=text("Words to look for.", minLength=1, maxLength=500),
            category=text("Only of this category.", maxLength=64),
            limit=count("Most memories to return.", 5, 20),
        ),
        kind="step.self",
        verb="GET",
    ),
    _entrusted(
        "send_message",
        "Send a message",
        "Send a message to another agent, or post it in a channel that every agent of the project "
        "can read. Nobody answers at once; look for answers with read_messages.",
        object_of(
            ("body",),
            to=_reference("Key, name or id of the agent it is for."),
            channel=text("Channel to post it in.", minLength=1, maxLength=64),
            subject=text("What it is about.", default="", maxLength=255),
            body=text("The message.", minLength=1, maxLength=20_000),
            reply_to=_reference("Id of the message that this one answers."),
        ),
        kind="step.message",
        verb="POST",
    ),
    _entrusted(
        "read_messages",
        "Read messages",
        "Read the messages that were sent to you, or those of a channel, oldest first. They count "
        "as read then.",
        object_of(
            channel=text("Read this channel in the place of your own messages.", maxLength=64),
            unread_only={
                "type": "boolean",
                "default": True,
                "description": "False: the newest of all, read or not.",
            },
            limit=count("Most messages to return.", 20, 50),
        ),
        kind="step.message",
        verb="GET",
    ),
    _entrusted(
        "read_collaboration",
        "Read a collaboration",
        "See what a collaboration session that you take part in is about: its shared context, who "
        "takes part, and its latest messages. Without a session, list those that are open.",
        object_of(
            session=_reference("Id or name of the session."),
            limit=count("Most messages to return.", 20, 50),
        ),
        kind="step.message",
        verb="GET",
    ),
    _entrusted(
        "contribute",
        "Contribute to a collaboration",
        "Say something in a collaboration session that you take part in, or set values of the "
        "context that all who take part share, or both.",
        object_of(
            ("session",),
            session=_reference("Id or name of the session."),
            message=text("What to say.", minLength=1, maxLength=20_000),
            message_type=text(
                "Of which kind it is, such as question, answer or decision.",
                default="message",
                maxLength=40,
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            ),
            context={
                "type": "object",
                "description": "Values to set in the shared context; null removes one.",
            },
        ),
        kind="step.message",
        verb="POST",
    ),
    _entrusted(
        "submit_code_review",
        "Submit code for review",
        "Submit a change of code for people to review. They approve or reject it; see what they "
        "said with review_status.",
        object_of(
            ("title",),
            title=text("What the change does, in one line.", minLength=1, maxLength=255),
            description=text("Why, and what to look at.", default="", maxLength=20_000),
            repository=text("Where the code is.", maxLength=500),
            branch=text("Branch of the change.", maxLength=255),
            diff=text("The whole change, as a unified diff.", maxLength=500_000),
            files={"type": "array", "items": _FILE, "maxItems": 200, "default": []},
        ),
        kind="step.resource",
        verb="POST",
    ),
    _entrusted(
        "review_status",
        "State of a code review",
        "See whether a code review that you submitted was approved or rejected, and its comments.",
        object_of(("review_id",), review_id=_reference("Id of the review.")),
        kind="step.resource",
        verb="GET",
    ),
)
"""In the order of the reference."""
