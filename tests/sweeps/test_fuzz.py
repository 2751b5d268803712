"""Fuzzing: what is generated from the description of each operation, against the description.

The examples are the same in every run. To look further, set MUSTER_FUZZ_EXAMPLES to a number: then
that many are tried, other ones each time.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks

from muster.kernel.ids import new_id
from tests.sweeps.calling import Answer
from tests.sweeps.conftest import NewWorld
from tests.sweeps.document import DOCUMENT, OPERATIONS, Operation, each, one_per_handler
from tests.sweeps.test_access import assert_problem
from tests.sweeps.world import QUIET, World

PERSON = "superadmin"
ORIGIN = "http://muster.test"
FURTHER = os.environ.get("MUSTER_FUZZ_EXAMPLES")
EXAMPLES = {"sqlite": 15, "postgresql": 8}
"""By database: nearly all of what is made up is refused before it comes to one."""
CONFIG = {"generation": {"with-security-parameters": False}}
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIG))
REFERENCES = {
    "agent_id": "/agents/{agent_id}",
    "user_id": "/users/{user_id}",
    "run_id": "/executions/{execution_id}",
    "execution_id": "/executions/{execution_id}",
}
"""Fields of bodies and of queries that name objects."""

MODELS = {"model", "model_id"}
"""Fields that name a model; one that is there answers without calling out."""

FITTING: dict[str, Callable[[], dict[str, Any]]] = {
    "create_model": lambda: {"name": f"made-up-{new_id()}", "key": None, "base_url": None},
    "create_tool": lambda: {
        "name": new_id(),
        "tool_type": "http",
        "configuration": {"url": "http://127.0.0.1:9"},
    },
    "import_agent": lambda: {"yaml": "name: Made up"},
    "generate_with_model": lambda: {"model": "", "model_id": None, "history": None},
    "create_service_key": lambda: {"name": new_id(), "key": "made-up", "value": None},
    "add_project_member": lambda: {"user_id": "", "email": None},
}
"""Fields that must fit each other, or be in a language of their own; else nothing is accepted."""


def refuses_what_does_not_fit(
    ctx: CheckContext, response: Response, case: schemathesis.Case
) -> None:
    """Check that what breaks the description is refused; values of a type that can be read as the
    right one are taken, such as false for 0 or "5" for 5.
    """
    try:
        checks.negative_data_rejection(ctx, response, case)
    except AcceptedNegativeData as failure:
        # In a body that may be absent, the type of a field is told as the choice between the two.
        found = re.findall(
            r"violates `(\w+)`(?: at (/anyOf/\d+/properties/)\w+$)?", failure.message, re.MULTILINE
        )
        if not found or any(rule != "type" and not (rule == "anyOf" and at) for rule, at in found):
            raise


CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    refuses_what_does_not_fit,
]


@pytest.fixture(scope="module")
def world(new_world: NewWorld) -> Iterator[World]:
    """A world of this module's own, which the fuzzing fills."""
    with new_world() as world:
        yield world


@pytest.mark.parametrize("operation", each(one_per_handler(OPERATIONS)))
def test_operation(world: World, operation: Operation, database_kind: str) -> None:
    described = SCHEMA[operation.path][operation.method]
    cases = described.as_strategy()
    if operation.parameters or operation.body:
        cases |= described.as_strategy(GenerationMode.NEGATIVE)

    @settings(
        max_examples=int(FURTHER or EXAMPLES[database_kind]),
        derandomize=FURTHER is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=QUIET,
    )
    @given(case=cases, real=st.sampled_from([True, True, True, False]))
    def fuzz(case: schemathesis.Case, real: bool) -> None:
        if real:
            use_real_objects(world, operation, case)
        request = prepared(world, operation, case)
        answer = send(world, operation, request)
        judge(operation, case, request, answer)

    fuzz()


def is_positive(case: schemathesis.Case, location: ParameterLocation) -> bool:
    """Tell whether what was generated for a part of the request fits its description."""
    assert case.meta is not None
    part = case.meta.components.get(location)
    return part is None or part.mode.is_positive


def use_real_objects(world: World, operation: Operation, case: schemathesis.Case) -> None:
    """Name objects that exist, where those that were made up would only be not found."""
    if is_positive(case, ParameterLocation.PATH) and case.path_parameters:
        given: dict[str, str] = {}
        for name in operation.path_parameters:
            given[name] = world.object_of(PERSON, operation.path, name, given)
        case.path_parameters = dict(given)
    for location, values in (
        (ParameterLocation.QUERY, case.query),
        (ParameterLocation.BODY, case.body),
    ):
        if is_positive(case, location) and isinstance(values, dict):
            if location is ParameterLocation.BODY and operation.id in FITTING:
                values |= FITTING[operation.id]()
            for name in values.keys() & REFERENCES.keys():
                values[name] = world.object_of(PERSON, REFERENCES[name], name)
            for name in values.keys() & MODELS:
                if values[name] is not None:
                    values[name] = "builtin/extractive"


def prepared(
    world: World, operation: Operation, case: schemathesis.Case
) -> requests.PreparedRequest:
    """Return the request of a case, signed in and, if it fits, in the shared project."""
    request = requests.Request(**case.as_transport_kwargs(ORIGIN)).prepare()
    request.headers.pop("Authorization", None)
    if not operation.is_public:
        request.headers["Authorization"] = f"Bearer {world.tokens[PERSON]}"
        if is_positive(case, ParameterLocation.HEADER):
            # Made-up projects are not found, and made-up keys soon name another request.
            request.headers["X-Project-Id"] = world.project_of(PERSON)
            request.headers.pop("Idempotency-Key", None)
    return request


def send(world: World, operation: Operation, request: requests.PreparedRequest) -> Answer:
    """Send a request; keep the session, and what is used up for the next one."""
    body = request.body or b""
    assert isinstance(body, str | bytes)
    assert request.method is not None
    answer = world.call(
        request.method,
        request.path_url,
        headers={name.lower(): value for name, value in request.headers.items()},
        content=body.encode() if isinstance(body, str) else body,
    )
    if operation.id == "logout" and answer.status == 204:
        world.sign_in(PERSON)
    if operation.method in {"POST", "DELETE"} and operation.path_parameters and answer.status < 300:
        # Deleted, decided, ended: the next example needs another.
        world.forget()
    return answer


def judge(
    operation: Operation,
    case: schemathesis.Case,
    request: requests.PreparedRequest,
    answer: Answer,
) -> None:
    assert answer.raised is None, answer
    assert answer.status != 500, answer
    if not operation.is_public and "token" not in (case.query or {}):
        assert answer.status != 401, answer
    if answer.status >= 400 and answer.status != 503:
        assert_problem(answer, answer.status)
    response = Response(
        status_code=answer.status,
        headers=answer.headers,
        content=answer.content,
        request=request,
        elapsed=0.0,
        verify=False,
        stream_cut_short=answer.streamed,
    )
    case.validate_response(response, checks=CHECKS)
