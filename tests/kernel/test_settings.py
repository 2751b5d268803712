"""Settings: names in the environment, forms of values, what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from muster.kernel.settings import (
    AdminSettings,
    AuthSettings,
    Providers,
    RunsSettings,
    Settings,
    UnsafeSettings,
)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if re.match(r"MUSTER_|DOCS_ENABLED|[A-Z]+_(API_KEY|BASE_URL)$", name, re.IGNORECASE):
            monkeypatch.delenv(name)


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


# --- names ------------------------------------------------------------------------------------


def test_the_names_that_are_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(
        monkeypatch,
        MUSTER_DATA_DIR="some/folder",
        MUSTER_DATABASE_URL="postgresql://u:p@h/d",
        MUSTER_ADMIN_EMAIL="ada@example.com",
        MUSTER_ADMIN_PASSWORD="a long password",
        MUSTER_REGISTRATION="closed",
        MUSTER_RUNS_CONCURRENCY="1",
        MUSTER_ON_RESTART="cancel",
        MUSTER_EGRESS_ALLOW="10.0.0.0/8, ollama.internal ,",
        MUSTER_RUNTIME_PROFILE="offline",
        DOCS_ENABLED="false",
    )
    assert found.data_dir == Path("some/folder")
    assert found.database == "postgresql+asyncpg://u:p@h/d"
    assert found.admin.email == "ada@example.com"
    assert found.admin.password is not None
    assert found.admin.password.get_secret_value() == "a long password"
    assert (found.registration, found.registration_mode) == ("closed", "closed")
    assert found.runs.concurrency == 1
    assert found.on_restart == "cancel"
    assert found.egress_allow == ["10.0.0.0/8", "ollama.internal"]
    assert found.runtime_profile == "offline"
    assert found.docs_enabled is False
    assert "a long password" not in repr(found)
    assert "u:p" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "path", "wanted"),
    [
        ("MUSTER_RUNS_PROJECT_CONCURRENCY", "3", "runs.project_concurrency", 3),
        ("MUSTER_RUNS_RATE_PERIOD_S", "1.5", "runs.rate_period_s", 1.5),
        ("MUSTER_RUNS_BLOB_THRESHOLD_KB", "1", "runs.blob_threshold_kb", 1),
        ("MUSTER_AUTH_PASSWORD_MIN_LENGTH", "12", "auth.password_min_length", 12),
        ("MUSTER_AUTH_ACCESS_MINUTES", "5", "auth.access_minutes", 5),
        ("MUSTER_TOOLS_MCP_STDIO", "off", "tools.mcp_stdio", "off"),
        ("MUSTER_TOOLS_SEARXNG_URL", "http://s", "tools.searxng_url", "http://s"),
        ("MUSTER_DATABASE_POOL_SIZE", "7", "database_pool_size", 7),
        ("MUSTER_DOCS_ENABLED", "0", "docs_enabled", False),
        ("MUSTER_CORS_ORIGINS", "https://a,https://b", "cors_origins", ["https://a", "https://b"]),
        ("MUSTER_CORS_ORIGINS", "", "cors_origins", []),
        ("MUSTER_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("MUSTER_PORT", "0", "port", 0),
        ("MUSTER_LOG_JSON", "true", "log_json", True),
        ("MUSTER_EXECUTE_RUNS", "false", "execute_runs", False),
    ],
)
def test_a_name_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, path: str, wanted: Any
) -> None:
    found: Any = read(monkeypatch, **{name: value})
    for part in path.split("."):
        found = getattr(found, part)
    assert found == wanted


def names(model: type[BaseModel], prefix: str = "MUSTER_") -> list[str]:
    found: list[str] = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += names(kind, f"{prefix}{name.upper()}_")
        else:
            found.append(prefix + name.upper())
    return found


def test_no_two_settings_share_a_name() -> None:
    found = names(Settings)
    assert len(found) == len(set(found))
    assert "MUSTER_RUNS_CONCURRENCY" in found


def test_every_setting_is_described() -> None:
    def silent(model: type[BaseModel]) -> list[str]:
        missing: list[str] = []
        for name, info in model.model_fields.items():
            kind = info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                missing += silent(kind)
            elif not (info.description or "").endswith("."):
                missing.append(f"{model.__name__}.{name}")
        return missing

    assert silent(Settings) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MUSTER_RUNS_CONCURRENCY", "0"),
        ("MUSTER_RUNS_CONCURRENCY", "many"),
        ("MUSTER_REGISTRATION", "everyone"),
        ("MUSTER_ON_RESTART", "forget"),
        ("MUSTER_RUNTIME_PROFILE", "cloud"),
        ("MUSTER_PORT", "70000"),
        ("MUSTER_LOG_LEVEL", "LOUD"),
        ("MUSTER_AUTH_PASSWORD_MIN_LENGTH", "4"),
        ("DOCS_ENABLED", "perhaps"),
    ],
)
def test_values_that_are_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        read(monkeypatch, **{name: value})


def test_providers_have_the_names_of_their_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = ["OPENAI", "ANTHROPIC", "GEMINI", "MISTRAL", "DEEPSEEK", "GROQ"]
    for maker in makers:
        monkeypatch.setenv(f"{maker}_API_KEY", f"key of {maker}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:2")
    found = Providers()
    for maker in makers:
        secret = getattr(found, f"{maker.lower()}_api_key")
        assert secret.get_secret_value() == f"key of {maker}"
    assert found.openai_base_url == "http://127.0.0.1:1/v1"
    assert found.ollama_base_url == "http://127.0.0.1:2"
    assert "key of" not in repr(found)


# --- database ---------------------------------------------------------------------------------


def with_database(url: str | None) -> Settings:
    return Settings(database_url=SecretStr(url) if url is not None else None)


@pytest.mark.parametrize(
    ("url", "product", "engine"),
    [
        (
            "postgres://u:p@h:5/d",
            "postgresql+asyncpg://u:p@h:5/d",
            "postgresql+psycopg://u:p@h:5/d",
        ),
        ("postgresql://h/d?x=y", "postgresql+asyncpg://h/d?x=y", "postgresql+psycopg://h/d?x=y"),
        ("postgresql+psycopg2://h/d", "postgresql+asyncpg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:////abs/a.db", "sqlite+aiosqlite:////abs/a.db", "sqlite:////abs/engine.db"),
        ("sqlite+aiosqlite:///a.db", "sqlite+aiosqlite:///a.db", "sqlite:///engine.db"),
    ],
)
def test_forms_of_database_urls(url: str, product: str, engine: str) -> None:
    found = with_database(url)
    assert (found.database, found.engine_database) == (product, engine)


def test_without_a_url_the_database_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    found = Settings(data_dir=tmp_path)
    assert found.database == f"sqlite+aiosqlite:///{tmp_path}/muster.db"
    assert found.engine_database == f"sqlite:///{tmp_path}/engine.db"


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "must look like"),
        ("localhost/d", "must look like"),
        ("mysql://h/d", "'mysql'"),
        ("sqlite://", "no file"),
        ("sqlite:///", "no file"),
        ("sqlite:///:memory:", "no file"),
        ("sqlite+aiosqlite:///:memory:", "no file"),
    ],
)
def test_databases_that_are_refused(url: str, part: str) -> None:
    for look in (lambda: with_database(url).database, lambda: with_database(url).refuse_unsafe()):
        with pytest.raises(UnsafeSettings, match=part) as refused:
            look()
        assert "MUSTER_DATABASE_URL" in str(refused.value)


# --- safety -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("muster.example", False),
        ("", False),
    ],
)
def test_who_can_reach_the_server(host: str, local: bool) -> None:
    found = Settings(host=host)
    assert found.is_local is local
    assert found.registration_mode == ("open" if local else "approval")
    assert Settings(host=host, registration="closed").registration_mode == "closed"


def test_the_defaults_are_safe() -> None:
    Settings().refuse_unsafe()
    Settings(host="0.0.0.0").refuse_unsafe()


PUBLIC = {"host": "0.0.0.0"}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (PUBLIC | {"registration": "open"}, "MUSTER_REGISTRATION"),
        (PUBLIC | {"egress_allow": ["0.0.0.0/0"]}, "MUSTER_EGRESS_ALLOW"),
        (PUBLIC | {"egress_allow": ["10.0.0.0/8", "::/0"]}, "MUSTER_EGRESS_ALLOW"),
        (PUBLIC | {"cors_origins": ["https://a.example", "*"]}, "MUSTER_CORS_ORIGINS"),
        ({"admin": AdminSettings(password=SecretStr("short"))}, "MUSTER_ADMIN_PASSWORD"),
        (
            {
                "admin": AdminSettings(password=SecretStr("eleven long")),
                "auth": AuthSettings(password_min_length=12),
            },
            "MUSTER_ADMIN_PASSWORD",
        ),
        (
            {"runs": RunsSettings(concurrency=2, project_concurrency=3)},
            "MUSTER_RUNS_PROJECT_CONCURRENCY",
        ),
    ],
)
def test_what_is_refused(values: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsafeSettings, match=name) as refused:
        Settings(**values).refuse_unsafe()
    assert "short" not in str(refused.value).replace("shorter", "")


@pytest.mark.parametrize(
    "values",
    [
        {"registration": "open"},
        {"egress_allow": ["0.0.0.0/0"]},
        {"cors_origins": ["*"]},
        PUBLIC | {"registration": "approval", "egress_allow": ["10.0.0.0/8", "ollama.internal"]},
        PUBLIC | {"cors_origins": ["https://a.example"]},
        {"admin": AdminSettings(password=SecretStr("long enough"))},
        {"runs": RunsSettings(concurrency=3, project_concurrency=3)},
    ],
)
def test_what_is_not_refused(values: dict[str, Any]) -> None:
    Settings(**values).refuse_unsafe()
