"""Request and response bodies of the models API."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import MISSING, BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from muster.domains.catalogue.models.providers import Provider
from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, UtcTime

_LARGEST_INT = 2**31 - 1


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_NAME = r"^[^/\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f])?$"
ModelName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=_NAME,
        description="Unique in the project; what agents name the model by.",
        examples=["custom-gpt-4"],
    ),
]
ModelKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=_NAME,
        description="The same as `name`. Where both are given, this is the name, and `name` is "
        "what the provider calls the model.",
    ),
]
ProviderName = Annotated[
    Provider,
    BeforeValidator(_lower),
    Field(
        description="`gemini` is `google`; `openai_compatible`, `vllm` and `databricks` speak like "
        "OpenAI at the `base_url`.",
        examples=["openai"],
    ),
]
ProviderModel = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="What the provider calls the model; the name where absent.",
        examples=["gpt-4"],
    ),
]
ApiKeyName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="Name or id of a key stored with POST /api-keys. Absent: the provider's key "
        "from the environment, if the model has no address of its own.",
        examples=["openai_api_key"],
    ),
]
BaseUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        pattern=r"^[^?#]+$",
        description="Where the provider's API answers, without a query. It must be an address "
        "that may be reached.",
        examples=["https://models.example.com/v1"],
    ),
]
Tokens = Annotated[int, Field(ge=1, le=_LARGEST_INT)]
PriceOf = Annotated[
    float, Field(ge=0, le=1_000_000, description="US dollars per million tokens.", examples=[2.5])
]
Temperature = Annotated[float, Field(ge=0, le=2, examples=[0.7])]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stops = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=False)]],
    BeforeValidator(_as_list),
    Field(max_length=16),
]
Thinking = bool | Literal["minimal", "low", "medium", "high", "xhigh", "max"]
Description = Annotated[str, Field(max_length=2000)]


class Parameters(In):
    """Settings that a model is called with. Null is the same as absent."""

    temperature: Temperature | None = None
    max_tokens: Annotated[Tokens | None, Field(description="Longest answer.")] = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop_sequences: Stops | None = None
    stop: Annotated[Stops | None, Field(description="The same as `stop_sequences`.")] = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    thinking: Annotated[
        Thinking | None, Field(description="Reasoning on, off, or how much of it.")
    ] = None
    timeout: Annotated[
        Annotated[float, Field(gt=0, le=3600)] | None,
        Field(description="For a call, retries included, in seconds."),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Return what is set, under the names of the model adapters."""
        found = self.model_dump(exclude_none=True)
        if (stop := found.pop("stop", None)) is not None:
            found.setdefault("stop_sequences", stop)
        return found


class Source(StrEnum):
    """Where a model comes from: the project, the operator's environment, the product."""

    PROJECT = "project"
    ENVIRONMENT = "environment"
    BUILTIN = "builtin"


class ModelStatus(StrEnum):
    """Whether a model can be called; why not is in `configuration_status`."""

    READY = "ready"
    DISABLED = "disabled"
    INCOMPLETE = "incomplete"


class ModelList(ListParams):
    provider: Annotated[ProviderName | None, Field(description="Only models of this provider.")] = (
        None
    )
    enabled: Annotated[bool | None, Field(description="Only enabled or disabled ones.")] = None
    source: Annotated[Source | None, Field(description="Only models from there.")] = None
    search: Annotated[
        str | None, Field(max_length=200, description="Name or model contains, in any case.")
    ] = None


class _Prices(In):
    input_price: PriceOf | None = None
    output_price: PriceOf | None = None
    cached_price: Annotated[
        PriceOf | None, Field(description="Of cached input tokens; absent: `input_price`.")
    ] = None


class ModelCreate(_Prices):
    name: ModelName | None = None
    key: ModelKey | None = None
    provider: ProviderName
    model: ProviderModel | None = None
    api_key_name: ApiKeyName | None = None
    base_url: BaseUrl | None = None
    parameters: Parameters = Parameters()
    temperature: Annotated[
        Temperature | None, Field(description="The same as in `parameters`.")
    ] = None
    extended_thinking: Annotated[
        bool | None, Field(description="The same as `thinking` in `parameters`.")
    ] = None
    context_window: Annotated[Tokens | None, Field(description="In tokens.")] = None
    max_output_tokens: Annotated[
        Tokens | None, Field(description="Longest answer where `max_tokens` is not set.")
    ] = None
    enabled: bool = True
    description: Description | None = None

    @model_validator(mode="after")
    def _has_name(self) -> "ModelCreate":
        if self.name is None and self.key is None:
            raise ValueError("give the model a 'name'")
        return self

    def columns(self) -> dict[str, Any]:
        """Return the row that this body describes."""
        values = self.model_dump(
            exclude={"key", "parameters", "temperature", "extended_thinking"}, mode="json"
        )
        values["name"] = self.key or self.name
        values["model"] = self.model or self.name or self.key
        values["parameters"] = _settings(self.parameters, self.temperature, self.extended_thinking)
        return values


class ModelUpdate(In):
    """The fields to change; `parameters` is replaced as a whole."""

    name: ModelName | MISSING = MISSING
    key: ModelKey | MISSING = MISSING
    provider: ProviderName | MISSING = MISSING
    model: ProviderModel | MISSING = MISSING
    api_key_name: ApiKeyName | MISSING | None = MISSING
    base_url: BaseUrl | MISSING | None = MISSING
    parameters: Parameters | MISSING = MISSING
    temperature: Temperature | MISSING | None = MISSING
    extended_thinking: bool | MISSING | None = MISSING
    context_window: Tokens | MISSING | None = MISSING
    max_output_tokens: Tokens | MISSING | None = MISSING
    input_price: PriceOf | MISSING | None = MISSING
    output_price: PriceOf | MISSING | None = MISSING
    cached_price: PriceOf | MISSING | None = MISSING
    enabled: bool | MISSING = MISSING
    description: Description | MISSING | None = MISSING

    def columns(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the columns to change, given the parameters that are stored."""
        changes = self.model_dump(
            exclude={"key", "parameters", "temperature", "extended_thinking"}, mode="json"
        )
        if self.key is not MISSING:
            if self.name is not MISSING:
                changes.setdefault("model", self.name)
            changes["name"] = self.key
        settings = dict(parameters) if self.parameters is MISSING else self.parameters.settings()
        for name, value in (
            ("temperature", self.temperature),
            ("thinking", self.extended_thinking),
        ):
            if value is None:
                settings.pop(name, None)
            elif value is not MISSING:
                settings[name] = value
        if settings != parameters:
            changes["parameters"] = settings
        return changes


class ModelToggle(In):
    enabled: Annotated[
        bool | None,
        Field(description="Absent: the other way round than it is now.", examples=[False]),
    ] = None


class ConfigurationIssue(BaseModel):
    """One thing that a model lacks."""

    code: str
    message: str


class ModelReadiness(BaseModel):
    """Whether a model could be called if it is enabled."""

    is_ready: bool
    issues: list[ConfigurationIssue]
    summary: str


class ModelOut(Out):
    """A model, whoever set it up."""

    id: Annotated[str, Field(description="UUIDv7 of a project's model; else its name.")]
    key: Annotated[str, Field(description="The same as `name`.")]
    name: str
    provider: str
    model: Annotated[str, Field(description="What the provider calls it.")]
    source: Source
    status: ModelStatus
    enabled: bool
    api_key_name: str | None
    base_url: str | None
    parameters: dict[str, Any]
    context_window: int | None
    max_output_tokens: int | None
    input_price: float | None
    output_price: float | None
    cached_price: float | None
    description: str | None
    configuration_status: ModelReadiness
    created_at: UtcTime | None
    updated_at: UtcTime | None


def _settings(
    parameters: Parameters, temperature: float | None, thinking: bool | None
) -> dict[str, Any]:
    settings = parameters.settings()
    if temperature is not None:
        settings.setdefault("temperature", temperature)
    if thinking is not None:
        settings.setdefault("thinking", thinking)
    return settings
