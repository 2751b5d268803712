"""Structured logs: one JSON line each, or coloured text on a terminal."""

import logging
import sys
from typing import Any, cast

import structlog

_SENSITIVE = ("password", "secret", "token", "api_key", "authorization", "cookie", "credential")


def _mask_secrets(
    _: Any, __: str, record: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    for name, value in record.items():
        record[name] = _masked(name, value)
    return record


def _masked(name: str, value: Any) -> Any:
    lowered = name.lower()
    if any(word in lowered for word in _SENSITIVE) and not lowered.endswith(("_tokens", "_id")):
        return "***"
    if isinstance(value, dict):
        inner = cast("dict[Any, Any]", value)
        return {key: _masked(str(key), entry) for key, entry in inner.items()}
    return value


def configure_logging(*, level: str = "INFO", json: bool | None = None) -> None:
    """Set up the logs of the process, those of libraries included.

    Args:
        level: Lowest level that is written.
        json: JSON lines; None decides by whether standard error is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _mask_secrets,
    ]
    structlog.configure(
        processors=[
            # Else a line below the level is made to its end, and then thrown away.
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # Plain tracebacks: the default ones show local variables, and so secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    tail: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if as_json:
        tail.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*tail, renderer])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx2", "httpcore2", "dbos", "aiosqlite", "asyncio", "mcp", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Each request is logged by our own middleware, with its request id.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
