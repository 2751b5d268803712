"""Templated requests against a real server."""

import json
from typing import Any

import pytest

from muster.adapters.tools import http
from muster.adapters.tools.base import (
    ToolConfigurationInvalid,
    ToolFailed,
    ToolInputInvalid,
    ToolTimeout,
)
from muster.adapters.tools.exchange import pick
from muster.kernel.egress import AddressRefused, Egress, EgressPolicy
from tests.support.echo_server import EchoServer

pytestmark = pytest.mark.anyio

ANY = {"type": "object"}


async def run(
    egress: Egress, configuration: dict[str, Any], arguments: dict[str, Any], **options: Any
) -> Any:
    parsed = http.parse_configuration(configuration)
    return await http.call(parsed, arguments, egress, **options)


async def test_every_part_is_filled(egress: Egress, base_url: str) -> None:
    outcome = await run(
        egress,
        {
            "method": "PUT",
            "url": f"{base_url}/v1/{{owner}}/items/{{id}}?fixed=1&q={{q}}",
            "headers": {"X-Name": "<{owner}>", "X-Maybe": "{absent}"},
            "query": {"page": "{page}", "tag": "{tags}", "gone": "{absent}", "n": 5, "no": None},
            "body": {
                "id": "{id}",
                "text": "Item {id} of {owner}",
                "tags": ["{tags}", True],
                "as_json": "{tags|json}",
                "gone": "{absent}",
            },
            "input_schema": ANY,
        },
        {"owner": "Ann", "id": 7, "q": "a&b", "page": 2, "tags": ["x", "y"]},
    )
    seen = outcome.content["body"]
    assert outcome.content["status"] == 200
    assert seen["method"] == "PUT"
    assert seen["path"] == "/v1/Ann/items/7"
    assert seen["query"] == "fixed=1&q=a%26b&page=2&tag=x&tag=y&n=5"
    assert seen["headers"]["x-name"] == "<Ann>"
    assert "x-maybe" not in seen["headers"]
    assert seen["headers"]["content-type"] == "application/json"
    assert json.loads(seen["body"]) == {
        "id": 7,
        "text": "Item 7 of Ann",
        "tags": [["x", "y"], True],
        "as_json": '["x", "y"]',
    }
    assert outcome.properties["method"] == "PUT"
    assert outcome.properties["attempts"] == 1


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("../admin", "/a/..%2Fadmin/b"),
        ("x/y?z#f", "/a/x%2Fy%3Fz%23f/b"),
        ("%2e%2e", "/a/%252e%252e/b"),
        ("@evil.example\\", "/a/%40evil.example%5C/b"),
        ("ü ", "/a/%C3%BC%20/b"),
    ],
)
async def test_a_path_argument_stays_in_its_segment(
    egress: Egress, base_url: str, value: str, path: str
) -> None:
    outcome = await run(egress, {"url": f"{base_url}/a/{{x}}/b"}, {"x": value})
    assert outcome.content["body"]["path"] == path


@pytest.mark.parametrize("value", ["", ".", ".."])
async def test_a_path_argument_cannot_climb(egress: Egress, base_url: str, value: str) -> None:
    with pytest.raises(ToolInputInvalid, match="part of the address"):
        await run(egress, {"url": f"{base_url}/a/{{x}}/b"}, {"x": value})
    with pytest.raises(ToolInputInvalid, match="part of the address"):
        await run(egress, {"url": f"{base_url}/{{x}}{{y}}"}, {"x": ".", "y": "."})


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00"])
async def test_headers_cannot_be_split(egress: Egress, base_url: str, value: str) -> None:
    configuration = {"url": f"{base_url}/x", "headers": {"X-Name": "{name}"}}
    with pytest.raises(ToolInputInvalid, match="line breaks"):
        await run(egress, configuration, {"name": value})
    with pytest.raises(ToolInputInvalid, match="cannot carry"):
        await run(egress, configuration, {"name": "名"})


async def test_text_bodies(egress: Egress, base_url: str, echo: EchoServer) -> None:
    template = '{"name": {name|json}, "raw": "{raw}"}'
    configuration = {"method": "POST", "url": f"{base_url}/x", "body": template}
    await run(egress, configuration, {"name": 'a"b', "raw": "c"})
    assert json.loads(echo.requests[-1]["body"]) == {"name": 'a"b', "raw": "c"}
    assert echo.requests[-1]["headers"]["content-type"] == "application/json"

    await run(egress, configuration | {"body": "hello {name}"}, {"name": "x"})
    assert echo.requests[-1]["body"] == "hello x"
    assert echo.requests[-1]["headers"]["content-type"].startswith("text/plain")

    headers = {"Content-Type": "application/xml"}
    await run(egress, configuration | {"body": "<a/>", "headers": headers}, {})
    assert echo.requests[-1]["headers"]["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("auth", "secret", "header", "value"),
    [
        ({"type": "bearer", "secret": "k"}, "tok-12345", "authorization", "Bearer ***"),
        ({"type": "basic", "secret": "k"}, "ann:pass-word", "authorization", "Basic ***"),
        (
            {"type": "basic", "secret": "k", "username": "ann"},
            "pass-word",
            "authorization",
            "Basic ***",
        ),
        ({"type": "api_key", "secret": "k", "header": "X-Key"}, "tok-12345", "x-key", "***"),
    ],
)
async def test_credentials_are_sent_and_struck_out(
    egress: Egress,
    base_url: str,
    echo: EchoServer,
    auth: dict[str, str],
    secret: str,
    header: str,
    value: str,
) -> None:
    configuration = {"url": f"{base_url}/x", "auth": auth}
    outcome = await run(egress, configuration, {}, secret=secret)
    assert "***" not in echo.requests[-1]["headers"][header]
    assert outcome.content["body"]["headers"][header] == value
    assert secret not in json.dumps(outcome.content)
    assert secret not in json.dumps(outcome.properties)


async def test_a_key_in_the_query_is_struck_out(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    auth = {"type": "api_key", "secret": "k", "query": "key"}
    outcome = await run(egress, {"url": f"{base_url}/x", "auth": auth}, {}, secret='se/cr"et+1')
    assert echo.requests[-1]["query"] == "key=se%2Fcr%22et%2B1"
    assert outcome.content["body"]["query"] == "key=***"


async def test_an_error_of_the_server_is_an_outcome_without_the_secret(
    egress: Egress, base_url: str
) -> None:
    auth = {"type": "bearer", "secret": "k"}
    configuration = {"url": f"{base_url}/status/418", "auth": auth}
    outcome = await run(egress, configuration, {}, secret="tok-12345")
    assert outcome.is_error
    assert outcome.content == "The server answered with status 418. no luck, Bearer ***"
    assert outcome.properties["status"] == 418


async def test_a_secret_without_value_is_refused(egress: Egress, base_url: str) -> None:
    auth = {"type": "bearer", "secret": "github"}
    with pytest.raises(ToolConfigurationInvalid, match="'github' has no value"):
        await run(egress, {"url": f"{base_url}/x", "auth": auth}, {})


async def test_a_part_of_the_answer(egress: Egress, base_url: str, echo: EchoServer) -> None:
    echo.pages["data"] = ('{"items": [{"name": "one"}, {"name": "two"}]}', "application/json")
    echo.pages["list"] = ("[[1], [2]]", "text/plain")

    async def take(page: str, path: str) -> Any:
        configuration = {"url": f"{base_url}/page/{page}", "response": {"path": path}}
        return await run(egress, configuration, {})

    assert (await take("data", "items[1].name")).content["body"] == "two"
    assert (await take("data", "items")).content["body"] == [{"name": "one"}, {"name": "two"}]
    assert (await take("list", "[1][0]")).content["body"] == 2
    for path in ("things", "items.name", "items[9]", "items[0].name.first", "[0]"):
        missing = await take("data", path)
        assert missing.is_error
        assert missing.content == f"The answer has nothing at '{path}'. Its fields are: items."
    assert (await take("list", "a")).content == "The answer has nothing at 'a'."


async def test_answers_of_every_kind(egress: Egress, base_url: str, echo: EchoServer) -> None:
    echo.pages = {
        "long": ("x" * 100_010, "text/plain"),
        "rows": (json.dumps(["row"] * 20_000), "application/json"),
        "broken": ('{"a": NaN}', "application/json"),
        "empty": ("", "application/json"),
        "number": ("5", "application/vnd.api+json"),
        "binary": (b"\x89PNG\x00\x00", "image/png"),
    }

    async def get(page: str) -> Any:
        return await run(egress, {"url": f"{base_url}/page/{page}"}, {})

    long = await get("long")
    assert long.properties["truncated"] is True
    assert long.content["body"].endswith("[truncated: 10 of 100010 characters]")
    rows = await get("rows")
    assert rows.content["body"].startswith('["row", ')
    assert rows.properties["truncated"] is True
    assert (await get("broken")).content["body"] == '{"a": NaN}'
    assert (await get("empty")).content["body"] is None
    assert (await get("number")).content["body"] == 5
    binary = await get("binary")
    assert binary.is_error
    assert binary.content == "The answer is binary (image/png, 6 bytes) and cannot be shown."


async def test_retries_of_what_may_be_repeated(
    egress: Egress, base_url: str, echo: EchoServer
) -> None:
    configuration = {"url": f"{base_url}/flaky", "retries": 2}
    echo.failures_left = 2
    outcome = await run(egress, configuration, {})
    assert outcome.content["body"] == {"ok": True}
    assert outcome.properties["attempts"] == 3

    echo.failures_left = 3
    assert (await run(egress, configuration, {})).is_error

    echo.failures_left = 1
    posting = configuration | {"method": "POST"}
    assert (await run(egress, posting, {})).is_error
    echo.failures_left = 1
    outcome = await run(egress, posting, {}, idempotency_key="step-1")
    assert outcome.properties["attempts"] == 2
    assert {request["headers"].get("idempotency-key") for request in echo.requests[-2:]} == {
        "step-1"
    }


async def test_servers_that_do_not_answer(egress: Egress, base_url: str) -> None:
    slow = {"url": f"{base_url}/slow?token=hidden", "timeout_s": 0.2, "retries": 1}
    with pytest.raises(ToolTimeout, match=r"slow did not answer within 0\.2 seconds") as caught:
        await run(egress, slow, {})
    assert "hidden" not in caught.value.detail
    with pytest.raises(ToolFailed, match="could not be asked"):
        await run(egress, {"url": "http://127.0.0.1:9/x", "retries": 1}, {})
    large = {"url": f"{base_url}/x", "response": {"max_bytes": 10}, "retries": 5}
    with pytest.raises(ToolFailed, match=r"too large|larger"):
        await run(egress, large, {})


async def test_the_guard_holds(base_url: str) -> None:
    guarded = Egress(EgressPolicy())
    with pytest.raises(AddressRefused):
        await run(guarded, {"url": f"{base_url}/x"}, {})
    await guarded.aclose()


async def test_arguments_are_checked(egress: Egress, base_url: str) -> None:
    configuration = {"url": f"{base_url}/x/{{id}}"}
    with pytest.raises(ToolInputInvalid, match="is missing 'id'"):
        await run(egress, configuration, {})
    with pytest.raises(ToolInputInvalid, match="'id' is missing"):
        await run(egress, configuration | {"input_schema": ANY}, {})


def test_the_schema_follows_from_the_placeholders() -> None:
    configuration = http.parse_configuration(
        {
            "method": "POST",
            "url": "https://api.example.com/{id}?q={q}",
            "headers": {"X": "{h}"},
            "query": {"p": "{p}"},
            "body": {"whole": "{w}", "list": ["{j|json}", 1], "text": "a {id}"},
        }
    )
    assert http.input_schema(configuration) == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "q": {"type": "string"},
            "p": {"type": "string"},
            "h": {"type": "string"},
            "w": {},
            "j": {},
        },
        "required": ["id", "q", "p", "h", "w", "j"],
        "additionalProperties": False,
    }
    assert http.configuration_schema()["properties"]["url"]["type"] == "string"


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com/x"}, "http"),
        ({"url": "https://{host}/x"}, "no placeholder"),
        ({"url": "https://a.example:{port}/x"}, "no placeholder"),
        ({"url": "{base}/x/y/z"}, "no placeholder"),
        ({"url": "https://[x/y"}, "no placeholder"),
        ({"url": "https://me:pw@example.com/"}, "use 'auth'"),
        ({"url": "https://a.example/", "headers": {"Host": "b"}}, "set by the client"),
        ({"url": "https://a.example/", "headers": {"A": "x\ny"}}, "line breaks"),
        ({"url": "https://a.example/", "headers": {"A b": "x"}}, "headers"),
        ({"url": "https://a.example/", "auth": {"type": "bearer"}}, "name the secret"),
        ({"url": "https://a.example/", "auth": {"type": "api_key", "secret": "k"}}, "either"),
        (
            {
                "url": "https://a.example/",
                "auth": {"type": "api_key", "secret": "k", "header": "Host"},
            },
            "cannot carry",
        ),
        ({"url": "https://a.example/", "response": {"path": "a..b"}}, "response.path"),
        ({"url": "https://a.example/", "input_schema": {"type": "array"}}, "object"),
        ({"url": "https://a.example/", "retries": 99}, "retries"),
        ({"url": "https://a.example/", "body": "x"}, "a GET request has no body"),
        (
            {"url": "https://a.example/", "method": "PUT", "body": 1, "send_arguments": "body"},
            "either 'body'",
        ),
        ({"url": "https://a.example/", "auth": {"username": "x"}}, "type 'basic'"),
        ({"url": "https://a.example/", "auth": {"header": "x"}}, "type 'api_key'"),
    ],
)
def test_faulty_configurations_are_named(configuration: dict[str, Any], expected: str) -> None:
    with pytest.raises(ToolConfigurationInvalid, match=expected):
        http.parse_configuration(configuration)


async def test_custom_tools(egress: Egress, base_url: str, echo: EchoServer) -> None:
    posting = http.from_custom(
        {
            "api_endpoint": f"{base_url}/search",
            "parameters": {"query": "string", "limit": 5, "kind": {"enum": ["a", "b"]}},
        }
    )
    outcome = await http.call(posting, {"query": "x", "more": 1}, egress)
    assert outcome.content["status"] == 200
    assert json.loads(echo.requests[-1]["body"]) == {"query": "x", "more": 1, "limit": 5}

    getting = http.from_custom(
        {
            "api_endpoint": f"{base_url}/search",
            "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
            "method": "get",
            "timeout_s": 5,
        }
    )
    await http.call(getting, {"q": "a b", "tags": [1, 2]}, egress)
    assert echo.requests[-1]["query"] == "q=a+b&tags=1&tags=2"

    open_ended = http.from_custom({"api_endpoint": f"{base_url}/x", "parameters": {}})
    await http.call(open_ended, {"anything": [1]}, egress)
    assert json.loads(echo.requests[-1]["body"]) == {"anything": [1]}


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"api_endpoint": 5},
        {"api_endpoint": "https://a.example", "colour": 1},
        {"api_endpoint": "https://a.example", "parameters": [1]},
        {"api_endpoint": "nowhere"},
        {"api_endpoint": "https://a.example", "method": "BREW"},
    ],
)
def test_faulty_custom_tools_are_refused(configuration: dict[str, Any]) -> None:
    with pytest.raises(ToolConfigurationInvalid):
        http.from_custom(configuration)


def test_pick_follows_a_path() -> None:
    assert pick({"a": [{"b": 1}]}, "a[0].b") == 1
