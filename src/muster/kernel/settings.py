"""Settings: read once from the environment, typed, each described.

Every setting is an environment variable `MUSTER_<NAME>`, or `MUSTER_<GROUP>_<NAME>` for those in a
group. `docs/reference/settings.md` is generated from this module.
"""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Registration = Literal["open", "approval", "closed"]

CommaList = Annotated[list[str], NoDecode]


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class UnsafeSettings(ValueError):
    """The settings contradict each other or open the server to the world; the text says why."""


class AdminSettings(BaseModel):
    """The superadmin that the first start makes."""

    email: Annotated[str, Field(description="E-mail of the superadmin.")] = "admin@muster.local"
    password: Annotated[
        SecretStr | None,
        Field(description="Password of the superadmin; absent: a random one is printed once."),
    ] = None


class AuthSettings(BaseModel):
    """Sessions and sign-in."""

    access_minutes: Annotated[
        int, Field(ge=1, le=1440, description="Life of an access token, in minutes.")
    ] = 60
    refresh_days: Annotated[
        int, Field(ge=1, le=365, description="Life of a refresh token, in days.")
    ] = 30
    lockout_attempts: Annotated[
        int, Field(ge=0, le=100, description="Failed sign-ins that lock an account; 0: never.")
    ] = 10
    lockout_minutes: Annotated[
        int, Field(ge=1, le=1440, description="How long a locked account stays locked, in minutes.")
    ] = 15
    password_min_length: Annotated[
        int, Field(ge=8, le=128, description="Shortest password that is accepted.")
    ] = 8


class RunsSettings(BaseModel):
    """Execution of runs."""

    concurrency: Annotated[
        int,
        Field(ge=1, le=1000, description="Runs that one process executes at a time; 1: one job."),
    ] = 16
    project_concurrency: Annotated[
        int | None,
        Field(
            ge=1, le=1000, description="Runs of one project that one process executes at a time."
        ),
    ] = None
    rate_limit: Annotated[
        int | None,
        Field(ge=1, description="Starts per project in `rate_period_s`; absent: no limit."),
    ] = None
    rate_period_s: Annotated[
        float, Field(gt=0, le=86_400, description="Window of `rate_limit`, in seconds.")
    ] = 60.0
    timeout_s: Annotated[
        int, Field(ge=1, le=604_800, description="Longest time a run may be active, in seconds.")
    ] = 3_600
    lease_s: Annotated[
        float,
        Field(
            ge=2, le=300, description="Silence after which a process counts as dead, in seconds."
        ),
    ] = 10.0
    blob_threshold_kb: Annotated[
        int, Field(ge=1, le=10_240, description="Step payloads above this go to the blob store.")
    ] = 64
    workspace_mb: Annotated[
        int, Field(ge=1, le=102_400, description="Disk that the files of one run may take, in MB.")
    ] = 256


class ToolsSettings(BaseModel):
    """What tools may do."""

    mcp_stdio: Annotated[
        Literal["admins", "off"],
        Field(
            description="Who may define MCP servers that are started as a command on this machine: "
            "superadmins, or nobody."
        ),
    ] = "admins"
    searxng_url: Annotated[
        str | None, Field(description="Base URL of the SearXNG that the tool web_search asks.")
    ] = None
    timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="Time limit of a tool that sets none, in seconds.")
    ] = 60.0


class BreakersSettings(BaseModel):
    """Circuit breakers that have no configuration of their own."""

    failure_threshold: Annotated[
        int, Field(ge=1, le=1000, description="Failures in a row that open a circuit breaker.")
    ] = 5
    window_s: Annotated[
        float, Field(gt=0, le=86_400, description="Time in which they must come, in seconds.")
    ] = 60.0
    open_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="Time until an open one is probed, in seconds."),
    ] = 30.0
    half_open_max: Annotated[
        int, Field(ge=1, le=100, description="Probes that may be under way at a time.")
    ] = 1
    success_threshold: Annotated[
        int, Field(ge=1, le=100, description="Probes that must succeed to close it again.")
    ] = 1


class SmtpSettings(BaseModel):
    """The mail server by which e-mail is sent. Without host and sender no e-mail is sent."""

    host: Annotated[str | None, Field(description="Host of the SMTP server.")] = None
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the SMTP server.")] = 587
    username: Annotated[str | None, Field(description="User name for the SMTP server.")] = None
    password: Annotated[SecretStr | None, Field(description="Password for it.")] = None
    sender: Annotated[
        str | None, Field(description="Address that e-mail comes from, such as muster@example.com.")
    ] = None
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="`starttls` turns the connection into a safe one, `tls` begins with one, "
            "`none` sends all in the clear."
        ),
    ] = "starttls"

    @property
    def missing(self) -> list[str]:
        """Names of the settings without which no e-mail can be sent."""
        needed = (("MUSTER_SMTP_HOST", self.host), ("MUSTER_SMTP_SENDER", self.sender))
        return [name for name, value in needed if not value]


class DeliveriesSettings(BaseModel):
    """How patiently webhooks and other messages are delivered."""

    attempts: Annotated[
        int, Field(ge=1, le=20, description="Attempts until a delivery is given up.")
    ] = 6
    first_wait_s: Annotated[
        float,
        Field(gt=0, le=3600, description="Wait after the first failure; each later one is triple."),
    ] = 30.0
    longest_wait_s: Annotated[
        float, Field(gt=0, le=86_400, description="Longest wait between attempts, in seconds.")
    ] = 3600.0
    timeout_s: Annotated[
        float, Field(gt=0, le=300, description="Time limit of one attempt, in seconds.")
    ] = 20.0
    concurrency: Annotated[
        int, Field(ge=1, le=100, description="Deliveries that one process makes at a time.")
    ] = 8


class Providers(BaseSettings):
    """Model providers that are set up from the environment, under the names their makers use."""

    model_config = SettingsConfigDict(extra="ignore")

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = None
    gemini_api_key: SecretStr | None = None
    gemini_base_url: str | None = None
    mistral_api_key: SecretStr | None = None
    mistral_base_url: str | None = None
    deepseek_api_key: SecretStr | None = None
    deepseek_base_url: str | None = None
    groq_api_key: SecretStr | None = None
    groq_base_url: str | None = None
    ollama_base_url: str | None = None


class Settings(BaseSettings):
    """All settings of a process."""

    model_config = SettingsConfigDict(
        env_prefix="MUSTER_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        validate_default=True,
        populate_by_name=True,
    )

    data_dir: Annotated[
        Path, Field(description="Folder of the database, files, blobs and the master key.")
    ] = Path(".muster")
    database_url: Annotated[
        SecretStr | None,
        Field(
            description="`postgresql://user:password@host/name`; absent: SQLite in the data folder."
        ),
    ] = None
    database_pool_size: Annotated[
        int, Field(ge=1, le=200, description="Connections kept open to PostgreSQL.")
    ] = 10
    master_key: Annotated[
        SecretStr | None,
        Field(
            description="32 bytes in base64 that protect all secrets; absent: a file in the data "
            "folder."
        ),
    ] = None
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on.")] = 8000
    public_url: Annotated[
        str | None, Field(description="Address under which people reach the server.")
    ] = None
    registration: Annotated[
        Registration | None,
        Field(
            description="Who may register: `open`, `approval` (an admin activates the account) or "
            "`closed`. Absent: open on a loopback address, else approval."
        ),
    ] = None
    on_restart: Annotated[
        Literal["resume", "cancel"],
        Field(description="What becomes of runs that were active when the process died."),
    ] = "resume"
    execute_runs: Annotated[
        bool,
        Field(description="Whether `muster serve` also executes runs, or leaves it to workers."),
    ] = True
    egress_allow: Annotated[
        CommaList,
        Field(
            description="Networks (CIDR), addresses or host names, separated by commas, that "
            "addresses given by users may reach besides public ones."
        ),
    ] = []
    runtime_profile: Annotated[
        Literal["online", "offline"] | None,
        Field(
            description="`offline` refuses every cloud provider. Absent: online when a cloud "
            "provider is set up, else offline."
        ),
    ] = None
    cors_origins: Annotated[
        CommaList, Field(description="Origins whose pages may call the API, separated by commas.")
    ] = []
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Lowest level logged.")
    ] = "INFO"
    log_json: Annotated[
        bool | None, Field(description="JSON log lines; absent: unless on a terminal.")
    ] = None
    docs_enabled: Annotated[
        bool,
        Field(
            description="Serve the interactive API documentation (`DOCS_ENABLED`).",
            validation_alias=AliasChoices("DOCS_ENABLED", "MUSTER_DOCS_ENABLED", "docs_enabled"),
        ),
    ] = True

    admin: AdminSettings = AdminSettings()
    auth: AuthSettings = AuthSettings()
    runs: RunsSettings = RunsSettings()
    tools: ToolsSettings = ToolsSettings()
    breakers: BreakersSettings = BreakersSettings()
    smtp: SmtpSettings = SmtpSettings()
    deliveries: DeliveriesSettings = DeliveriesSettings()

    _lists = field_validator("egress_allow", "cors_origins", mode="before")(_split)

    @property
    def database(self) -> str:
        """URL of the database in SQLAlchemy's form."""
        if self.database_url is None:
            return f"sqlite+aiosqlite:///{(self.data_dir / 'muster.db').resolve()}"
        url = self.database_url.get_secret_value()
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise UnsafeSettings("MUSTER_DATABASE_URL must look like postgresql://user@host/name.")
        kind = scheme.split("+")[0]
        if kind in {"postgres", "postgresql"}:
            return f"postgresql+asyncpg://{rest}"
        if kind == "sqlite":
            if rest.strip("/") in {"", ":memory:"}:
                raise UnsafeSettings(
                    "MUSTER_DATABASE_URL names no file; use sqlite:///path, or leave it away."
                )
            return f"sqlite+aiosqlite://{rest}"
        raise UnsafeSettings(f"MUSTER_DATABASE_URL names {kind!r}; use postgresql or sqlite.")

    @property
    def engine_database(self) -> str:
        """URL of the durable engine's own tables: beside the product's on PostgreSQL."""
        if self.database.startswith("sqlite"):
            path = Path(self.database.removeprefix("sqlite+aiosqlite:///"))
            return f"sqlite:///{path.with_name('engine.db')}"
        return self.database.replace("postgresql+asyncpg://", "postgresql+psycopg://", 1)

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def registration_mode(self) -> Registration:
        """Who may register, with the default applied."""
        return self.registration or ("open" if self.is_local else "approval")

    def refuse_unsafe(self) -> None:
        """Raise `UnsafeSettings` for combinations that would expose or break the server."""
        if self.registration == "open" and not self.is_local:
            raise UnsafeSettings(
                f"MUSTER_REGISTRATION=open with MUSTER_HOST={self.host} would let anyone who can "
                "reach the port make an account. Use approval or closed, or listen on 127.0.0.1."
            )
        if not self.is_local and any(_is_everything(entry) for entry in self.egress_allow):
            raise UnsafeSettings(
                "MUSTER_EGRESS_ALLOW names every network while the server can be reached from "
                "elsewhere; name the networks that users' addresses need."
            )
        if "*" in self.cors_origins and not self.is_local:
            raise UnsafeSettings(
                "MUSTER_CORS_ORIGINS=* with a public address lets any page call the API; name the "
                "origins."
            )
        password = self.admin.password
        if (
            password is not None
            and len(password.get_secret_value()) < self.auth.password_min_length
        ):
            raise UnsafeSettings(
                f"MUSTER_ADMIN_PASSWORD is shorter than {self.auth.password_min_length} characters."
            )
        if self.runs.project_concurrency and self.runs.project_concurrency > self.runs.concurrency:
            raise UnsafeSettings(
                "MUSTER_RUNS_PROJECT_CONCURRENCY is larger than MUSTER_RUNS_CONCURRENCY."
            )
        _ = self.database


def _is_everything(entry: str) -> bool:
    try:
        return ip_network(entry, strict=False).prefixlen == 0
    except ValueError:
        return False
