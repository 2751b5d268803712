"""Texts of failures: clear, short, and without secrets."""

import pytest

from muster.adapters.models import failures
from muster.adapters.models.failures import Endpoint

AT = Endpoint(provider="P", base_url="https://api.example.com/v1?key=1", secret="hunter2hunter2")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh12345678",
        "Bearer abc.def",
        "AIzaSyA1234567890abc",
        "gsk_abcdefgh12345678",
        "hunter2hunter2",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ],
)
def test_masks_what_looks_like_a_key(secret: str) -> None:
    failure = failures.http_failure(AT, 400, body={"error": {"message": f"Wrong: {secret} !"}})

    assert secret not in failure.detail
    assert "Wrong: *** !" in failure.detail


def test_leaves_ordinary_words_alone() -> None:
    text = "Invalid value for max_tokens in claude-sonnet-4-5-20250929: must be below 8192"

    assert failures.masked(text) == text
    assert failures.masked("api-key-holder-model fails", keep="api-key-holder-model") == (
        "api-key-holder-model fails"
    )


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"error": {"message": "m1"}}, "m1"),
        ({"error": "m2"}, "m2"),
        ({"message": "m3"}, "m3"),
        ({"detail": "m4"}, "m4"),
        ({"detail": [{"msg": "m5"}]}, "m5"),
        ('{"error": {"message": "m6"}}', "m6"),
        (b'[{"error": {"message": "m7"}}]', "m7"),
    ],
)
def test_finds_the_message(body: object, quoted: str) -> None:
    assert f"It says: {quoted}" in failures.http_failure(AT, 422, body=body).detail


@pytest.mark.parametrize(
    "body", ["<html>", None, {}, [], {"detail": [3]}, {"detail": []}, {"error": {}}, 5]
)
def test_quotes_nothing_it_does_not_understand(body: object) -> None:
    assert failures.http_failure(AT, 422, body=body).detail == "P refused the request (HTTP 422)."


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://user:pw@api.example.com:8443/v1?k=1", "api.example.com:8443"),
        ("https://api.example.com/v1", "api.example.com"),
        ("http://api.example.com:port/", "api.example.com"),
        ("", "its address"),
    ],
)
def test_shows_the_host_alone(url: str, host: str) -> None:
    assert Endpoint(provider="P", base_url=url).host == host


def test_tells_other_errors_apart() -> None:
    assert failures.unanswered(AT, ValueError("x"), 1) is None
    late = failures.unanswered(AT, TimeoutError(), 1)
    assert late is not None
    assert "within 1 seconds" in late.detail
    broken = failures.unanswered(AT, ConnectionResetError(), 1)
    assert broken is not None
    assert "cannot be reached at api.example.com" in broken.detail


def test_names_what_is_missing_when_no_model_was_asked() -> None:
    assert "what was asked for" in failures.http_failure(AT, 404).detail
