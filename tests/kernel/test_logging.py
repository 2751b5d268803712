"""Logs: JSON lines or text, without secrets."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from muster.kernel.logging import configure_logging, get_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    loggers = [
        logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access")
    ]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def written(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None = None, **options: Any
) -> io.StringIO:
    stream = stream or io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(**options)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        get_logger("muster.test").info("happened", count=3, name="Grüße\nsecond line")
    logging.getLogger("library").warning("plain %s", "text", extra={"more": 1})
    first, second = lines(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "happened",
        "count": 3,
        "name": "Grüße\nsecond line",
        "request_id": "r1",
        "level": "info",
        "logger": "muster.test",
    }
    assert (second["event"], second["more"], second["logger"]) == ("plain text", 1, "library")
    assert "request_id" not in second


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, json=True)
    secrets = {
        "password": "hunter2",
        "api_key": "hunter2",
        "Authorization": "Bearer hunter2",
        "refresh_token": "hunter2",
        "client_secret_value": "hunter2",
        "headers": {"Cookie": "hunter2", "accept": "x", 1: {"credential": ["hunter2"]}},
    }
    plain = {"input_tokens": 3, "token_id": "t1", "secret_id": "s1"}
    get_logger("muster.test").info("signed_in", **secrets, **plain)
    logging.getLogger("library").warning("sent", extra={"access_token": "hunter2"})
    first, second = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert {name: first[name] for name in plain} == plain
    assert first["headers"] == {"Cookie": "***", "accept": "x", "1": {"credential": "***"}}
    assert first["password"] == second["access_token"] == "***"


def fail(password: str) -> None:
    word = password * 2
    raise ValueError("something broke") from KeyError(len(word))


@pytest.mark.parametrize("as_json", [True, False])
def test_tracebacks_show_no_values(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    stream = written(monkeypatch, json=as_json)
    log = get_logger("muster.test")
    try:
        fail("hunter" + str(2))
    except ValueError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)  # noqa: TRY400 - as the handler of faults does it
        logging.getLogger("library").exception("failed")
    text = stream.getvalue()
    assert text.count("ValueError: something broke") == 3
    assert text.count("in fail") == 3
    assert "hunter2" not in text
    if as_json:
        assert len(lines(stream)) == 3
        assert "exception" in lines(stream)[0]


def test_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, level="warning", json=True)
    log = get_logger("muster.test")
    log.info("quiet")
    log.warning("loud")
    logging.getLogger("httpx2").info("noise")
    assert [entry["event"] for entry in lines(stream)] == ["loud"]


def test_noise_of_libraries_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, level="DEBUG", json=True)
    for name in ("httpx2", "dbos", "asyncio", "mcp.server"):
        logging.getLogger(name).info("noise")
    logging.getLogger("uvicorn.access").info("noise")
    logging.getLogger("uvicorn.error").info("started")
    assert [entry["event"] for entry in lines(stream)] == ["started"]


def test_a_terminal_gets_text_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, Terminal())
    get_logger("muster.test").info("happened", count=3)
    assert "\x1b[" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        lines(stream)
    stream = written(monkeypatch, Terminal(), json=True)
    get_logger("muster.test").info("happened")
    assert lines(stream)[0]["event"] == "happened"


def test_text_without_a_terminal_has_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = written(monkeypatch, json=False)
    get_logger("muster.test").info("happened", count=3)
    assert "happened" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()
