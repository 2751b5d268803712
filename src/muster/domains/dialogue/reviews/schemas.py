"""Request and response bodies of code reviews."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, StringConstraints

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime

MAX_FILES = 200
MAX_COMMENTS = 1_000
LONGEST_DIFF = 500_000
LONGEST_FILE = 200_000
LONGEST_IN_ALL = 1_000_000

Status = Literal["pending", "approved", "rejected"]
Path = Annotated[str, Field(min_length=1, max_length=500, examples=["src/prices.py"])]


AsWritten = Annotated[str, StringConstraints(strip_whitespace=False)]
"""Code, whose first and last characters belong to it."""


class ReviewFile(In):
    """One file of a change, whole or as what changed in it."""

    path: Path
    content: Annotated[
        AsWritten | None, Field(max_length=LONGEST_FILE, description="The file as it is now.")
    ] = None
    diff: Annotated[
        AsWritten | None,
        Field(max_length=LONGEST_FILE, description="What changed in it, as a unified diff."),
    ] = None


class ReviewCreate(In):
    """A change to review: a diff, or files, or both."""

    title: Annotated[str, Field(min_length=1, max_length=255, examples=["Round prices up"])]
    description: Annotated[
        str, Field(max_length=20_000, description="Why, and what to look at.")
    ] = ""
    repository: Annotated[
        str | None,
        Field(
            max_length=500,
            description="Where the code is.",
            validation_alias=AliasChoices("repository", "repo"),
        ),
    ] = None
    branch: Annotated[str | None, Field(max_length=255)] = None
    diff: Annotated[
        AsWritten | None,
        Field(
            max_length=LONGEST_DIFF,
            description="The whole change, as a unified diff.",
            examples=["--- a/prices.py\n+++ b/prices.py\n@@ -1 +1 @@\n-up = False\n+up = True\n"],
        ),
    ] = None
    files: Annotated[list[ReviewFile], Field(max_length=MAX_FILES)] = []  # noqa: RUF012 - Pydantic copies it
    agent_id: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Id, key or name of the agent whose change it is; null: your own.",
            validation_alias=AliasChoices("agent_id", "agent"),
        ),
    ] = None


class ReviewDecision(In):
    """A decision."""

    comment: Annotated[
        str | None,
        Field(
            max_length=10_000,
            description="Why; the agent is told.",
            examples=["Tests are there and it reads well."],
            validation_alias=AliasChoices("comment", "reason"),
        ),
    ] = None


class ReviewCommentCreate(In):
    """Something to say about a change."""

    body: Annotated[
        str,
        Field(
            min_length=1,
            max_length=10_000,
            examples=["What happens with negative prices?"],
            validation_alias=AliasChoices("body", "comment", "content", "text", "message"),
        ),
    ]
    file: Annotated[
        str | None,
        Field(
            max_length=500,
            description="Path of the file that it is about.",
            validation_alias=AliasChoices("file", "file_path", "path"),
        ),
    ] = None
    line: Annotated[
        int | None,
        Field(
            ge=1,
            le=2**31 - 1,
            description="Line of the file; goes with `file`.",
            validation_alias=AliasChoices("line", "line_number"),
        ),
    ] = None


class ReviewList(ListParams):
    """Filters of the list of code reviews."""

    status: Annotated[Status | None, Field(description="Only of this status.")] = None
    agent_id: Annotated[
        str | None, Field(max_length=255, description="Submitted by this agent: id, key or name.")
    ] = None
    search: Annotated[
        str | None,
        Field(max_length=200, description="Title, description, repository or branch contains."),
    ] = None


class ReviewBrief(RecordOut):
    """A code review, without the code."""

    title: str
    description: str
    repository: str | None
    branch: str | None
    file_count: int
    agent_id: str | None
    run_id: Annotated[str | None, Field(description="The run in which an agent submitted it.")]
    submitted_by_id: str
    submitted_by_name: str
    status: Status
    decided_by_id: str | None
    decided_by_name: str | None
    decided_at: UtcTime | None
    decision_comment: str | None


class ReviewCommentOut(RecordOut):
    """What somebody said about a change."""

    review_id: str
    body: str
    file: str | None
    line: int | None
    author_id: str
    author_name: str


class ReviewFileOut(Out):
    """One file of a change."""

    path: str
    content: str | None
    diff: str | None


class ReviewOut(ReviewBrief):
    """A code review with its code and what was said about it, oldest first."""

    diff: str | None
    files: list[ReviewFileOut]
    comments: list[ReviewCommentOut]
