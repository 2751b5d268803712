"""Request and response bodies of what people think of crews."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from muster.kernel.schemas import In, Out, RecordOut


class FeedbackCreate(In):
    """What somebody thinks of a crew."""

    rating: Annotated[Literal["up", "down"], Field(examples=["up"])]
    comment: Annotated[
        str | None,
        Field(
            max_length=4_000,
            description="Needed where the rating is down.",
            validate_default=True,
        ),
    ] = None

    @field_validator("comment")
    @classmethod
    def _say_why(cls, comment: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("rating") == "down" and not comment:
            raise ValueError("a rating of down needs a comment that says why")
        return comment


class CrewFeedbackOut(RecordOut):
    """What somebody thinks of a crew."""

    crew_id: str
    rating: str
    comment: str | None
    created_by_id: str
    created_by_name: str


class FeedbackSummaryOut(Out):
    """How a crew was rated."""

    id: Annotated[str, Field(description="The crew.")]
    crew_id: str
    crew_name: str
    up: int
    down: int
    total: int
    share_up: Annotated[float | None, Field(description="0 to 1; null while nobody rated it.")]
