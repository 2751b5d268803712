"""Request and response bodies of secrets."""

from typing import Annotated, Literal

from pydantic import MISSING, AwareDatetime, Field, SecretStr, model_validator

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, RecordOut, UtcTime

MAX_VALUE = 16_384

SecretName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        # Printable, and no slash at the ends: the name is also a path of the API.
        pattern=r"^[^/\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f])?$",
        description="Unique in the project; what models and tools name it by.",
        examples=["OpenAI API Key"],
    ),
]
Service = Annotated[
    str, Field(max_length=80, description="What the secret is for.", examples=["openai"])
]
Description = Annotated[str, Field(max_length=2000)]
Value = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=MAX_VALUE,
        description="The secret itself, without white space at its ends; never sent back.",
    ),
]
SameValue = Annotated[
    SecretStr, Field(min_length=1, max_length=MAX_VALUE, description="The same as `key`.")
]
ExpiresAt = Annotated[
    AwareDatetime, Field(description="From this moment on the secret cannot be used.")
]


class SecretList(ListParams):
    service: Annotated[str | None, Field(max_length=80, description="Only of this service.")] = None
    search: Annotated[str | None, Field(max_length=255, description="Name contains.")] = None


class SecretCreate(In):
    name: SecretName
    service: Service | None = None
    key: Value | None = None
    value: SameValue | None = None
    description: Description | None = None
    expires_at: ExpiresAt | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> "SecretCreate":
        if (self.key is None) == (self.value is None):
            raise ValueError("give the secret in 'key' or in 'value', which mean the same")
        return self

    @property
    def plain(self) -> str:
        """The value in the clear."""
        given = self.key or self.value
        return given.get_secret_value() if given else ""


class SecretUpdate(In):
    name: SecretName | MISSING = MISSING
    service: Service | MISSING | None = MISSING
    key: Annotated[
        Value | MISSING | None, Field(description="Null takes the value away, the name stays.")
    ] = MISSING
    value: SameValue | MISSING | None = MISSING
    description: Description | MISSING | None = MISSING
    expires_at: ExpiresAt | MISSING | None = MISSING

    @model_validator(mode="after")
    def _has_at_most_one_value(self) -> "SecretUpdate":
        if self.key is not MISSING and self.value is not MISSING:
            raise ValueError("give the secret in 'key' or in 'value', which mean the same")
        return self

    @property
    def plain(self) -> str | MISSING | None:
        """The new value in the clear, None to take it away, MISSING to leave it."""
        given = self.value if self.key is MISSING else self.key
        return given.get_secret_value() if isinstance(given, SecretStr) else given


class SecretOut(RecordOut):
    """A secret without its value."""

    name: str
    service: str | None
    description: str | None
    value: Annotated[
        Literal["Set", "Not set"], Field(description="Whether there is one; never the value.")
    ]
    key_hint: Annotated[
        str | None, Field(description="The last four characters of a value of twelve or more.")
    ]
    expires_at: UtcTime | None
    last_used_at: Annotated[UtcTime | None, Field(description="Right to within ten minutes.")]
