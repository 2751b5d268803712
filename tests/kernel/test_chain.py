"""Canonical JSON and the chain of hashes."""

import json
import math
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from muster.kernel.chain import GENESIS, canonical, chain_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | SAFE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        (1e21, "1e+21"),
        (100.0, "100"),
        (-0.0, "0"),
        (0.000001, "0.000001"),
        ('\u20ac$\u000f\nA\'B"\\"/', r'"€$\u000f' + r"\nA'" + r'B\"\\\"/"'),
        # Ordered by UTF-16, as the standard has it.
        ({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3}, '{"€":3,"\U0001f600":2,"\ufb33":1}'),
        (2**53 - 1, "9007199254740991"),
        (2**53 + 1, '"9007199254740993"'),
        (-(2**53) - 1, '"-9007199254740993"'),
        ({"a": [2**60, (1, 10**400), True, 1.5]}, f'{{"a":["{2**60}",[1,"{10**400}"],true,1.5]}}'),
        # The shortest notation of a double, which JSONB writes without an exponent.
        (10**22, "1e+22"),
        (10**16, "10000000000000000"),
        (1234567890123456 * 10**10, "1.234567890123456e+25"),
        (2**53, "9007199254740992"),
    ],
)
def test_canonical_json(value: Any, text: str) -> None:
    assert canonical(value) == text.encode()


@given(VALUES)
def test_canonical_json_is_the_standards_and_says_the_same(value: Any) -> None:
    written = canonical(value)
    assert written == rfc8785.dumps(value)
    assert json.loads(written, parse_int=float) == value
    assert canonical(json.loads(written)) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_the_same_without_its_exponent(value: float) -> None:
    plain = json.loads(format(Decimal(repr(value)), "f"))
    assert canonical({"a": plain}) == canonical({"a": value})


@given(st.dictionaries(TEXT, VALUES, min_size=2, max_size=5))
def test_the_order_of_fields_makes_no_difference(fields: dict[str, Any]) -> None:
    turned = dict(reversed(fields.items()))
    assert chain_hash(GENESIS, turned) == chain_hash(GENESIS, fields)


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), VALUES, st.data())
def test_any_change_changes_the_hash(
    fields: dict[str, Any], other: Any, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = fields | {name: other}
    same = canonical(fields) == canonical(changed)
    assert (chain_hash(GENESIS, fields) == chain_hash(GENESIS, changed)) is same
    assert chain_hash("f" * 64, fields) != chain_hash(GENESIS, fields)


def test_the_hash_can_be_computed_from_the_standards_alone() -> None:
    fields = {"seq": 2, "kind": "step.model", "cost": 0.25, "output": {"text": "Grüße"}}
    text = (
        '{"cost":0.25,"kind":"step.model","output":{"text":"Grüße"},'
        f'"previous_hash":"{GENESIS}","seq":2}}'
    )
    assert chain_hash(GENESIS, fields) == sha256(text.encode()).hexdigest()
    assert len(GENESIS) == 64


def test_a_chain_notices_a_record_that_was_taken_out() -> None:
    hashes = [GENESIS]
    for number in range(4):
        hashes.append(chain_hash(hashes[-1], {"seq": number}))
    assert len(set(hashes)) == 5
    assert chain_hash(hashes[1], {"seq": 2}) != hashes[3]


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, object(), "\ud800"])
def test_what_has_no_canonical_form(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical(value)
