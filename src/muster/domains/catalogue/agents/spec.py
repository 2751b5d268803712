"""What an agent is: the union of what the families document, under its canonical names."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from muster.domains.catalogue.agents.spelling import canonical

Risk = Literal["minimal", "limited", "high", "unacceptable", "unclassified"]
Environment = Literal["development", "qa", "staging", "production"]
AgentKind = Literal["native", "external", "platform"]
EXTERNAL: AgentKind = "external"
"""The kind of agents that run elsewhere and log what they do."""
Visibility = Literal["private", "unlisted", "project", "public"]

Text = Annotated[str, Field(max_length=20_000)]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["Document analyst"])]
Key = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        description="Stable slug, unique in the project; made of the name when absent.",
        examples=["document-analyst"],
    ),
]


_KEPT = "Kept and given back; runs do not need it."
KeptFlag = Annotated[bool, Field(description=_KEPT)]
KeptText = Annotated[Text | None, Field(description=_KEPT)]


class AgentSpec(BaseModel):
    """The definition of an agent: what a version keeps and what a run is ruled by.

    `{placeholders}` in role, goal, backstory, instructions and prompt are filled from a run's
    inputs. Documented spellings of other families are accepted: `system_prompt` for `instructions`,
    `enabled_tools` for `tools`, `llm_provider` and `llm_model` for `llm`.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True, str_strip_whitespace=True)

    name: Name = "Unnamed Agent"
    key: Key | None = None
    description: Text | None = None
    purpose: Text | None = None
    role: Text | None = None
    goal: Text | None = None
    backstory: Text | None = None
    instructions: Text | None = None
    prompt: Annotated[
        Text | None, Field(description="The user's turn; absent: the run's input `prompt`.")
    ] = None
    llm: Annotated[
        str | None,
        Field(max_length=255, description="Model: a name of `/models`, or provider/model."),
    ] = None
    function_calling_llm: Annotated[str | None, Field(max_length=255, description=_KEPT)] = None
    temperature: Annotated[
        float | None,
        Field(ge=0, le=100, description="0 to 100, mapped to 0 to 2; model_settings has 0 to 2."),
    ] = None
    model_settings: Annotated[
        dict[str, Any],
        Field(
            description="temperature (0 to 2), max_tokens, top_p, stop_sequences, seed, timeout."
        ),
    ] = {}
    output_schema: Annotated[
        dict[str, Any] | None, Field(description="JSON Schema that the answer must fit.")
    ] = None
    tools: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255)]],
        Field(max_length=128, description="Names or ids of tools that the agent may use."),
    ] = []
    tool_configs: Annotated[
        dict[str, dict[str, Any]], Field(description="Configuration by tool.")
    ] = {}
    max_iter: Annotated[int, Field(ge=1, le=1000, description="Most calls of the model.")] = 25
    max_rpm: Annotated[
        int | None, Field(ge=1, le=100_000, description="Most calls of the model in a minute.")
    ] = None
    max_execution_time: Annotated[
        float | None, Field(gt=0, le=604_800, description="Longest active time, in seconds.")
    ] = None
    inject_date: Annotated[bool, Field(description="Tell the model today's date.")] = True
    date_format: Annotated[str, Field(min_length=1, max_length=40)] = "%Y-%m-%d"
    inputs: Annotated[
        dict[str, Any], Field(description="Example or default values of the placeholders.")
    ] = {}
    risk_classification: Risk = "unclassified"
    environment: Environment = "development"
    owner_id: Annotated[str | None, Field(max_length=255)] = None
    maintainer_id: Annotated[str | None, Field(max_length=255)] = None
    declared_tools: Annotated[list[str], Field(max_length=256)] = []
    metadata: dict[str, Any] = {}
    worker_id: Annotated[str | None, Field(max_length=36)] = None
    memory: Annotated[
        bool,
        Field(description="Begin each run with what the agent remembers that fits its prompt."),
    ] = True
    kind: AgentKind = "native"
    visibility: Visibility = "project"
    # For clients of the crews family; the platform's loop needs none of them.
    allow_delegation: KeptFlag = False
    verbose: KeptFlag = False
    cache: KeptFlag = True
    max_retry_limit: Annotated[int, Field(ge=0, le=100, description=_KEPT)] = 2
    allow_code_execution: Annotated[
        bool, BeforeValidator(lambda _: False), Field(description="Always false.")
    ] = False
    code_execution_mode: Annotated[Literal["safe", "unsafe"], Field(description=_KEPT)] = "safe"
    use_system_prompt: KeptFlag = True
    respect_context_window: KeptFlag = True
    embedder_config: Annotated[dict[str, Any] | None, Field(description=_KEPT)] = None
    knowledge_sources: Annotated[list[Any], Field(description=_KEPT)] = []
    system_template: KeptText = None
    prompt_template: KeptText = None
    response_template: KeptText = None

    @model_validator(mode="before")
    @classmethod
    def _read_spellings(cls, data: Any) -> Any:
        """Read the other spellings; a null where a field has none means its default."""
        if not isinstance(data, dict):
            return data
        values = canonical(data)  # pyright: ignore[reportUnknownArgumentType]
        return {k: v for k, v in values.items() if v is not None or cls._takes_null(k)}

    @classmethod
    def _takes_null(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is None or type(None) in getattr(field.annotation, "__args__", ())

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the model's calls, the documented temperature among them."""
        if self.temperature is None or "temperature" in self.model_settings:
            return self.model_settings
        return {**self.model_settings, "temperature": self.temperature / 50}
