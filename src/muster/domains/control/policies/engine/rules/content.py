"""Rules about where a step reaches and what it carries."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from muster.domains.control.policies.engine.context import Details
from muster.domains.control.policies.engine.fields import MISSING, inside
from muster.domains.control.policies.engine.regex import compile_pattern
from muster.domains.control.policies.engine.rule import (
    AT_STEP,
    Judgement,
    Moment,
    Param,
    Rule,
    Setup,
    violation,
)

_TARGET: Final = "target.host"
_UNCLEAR = re.compile(r"[\\\s\x00-\x1f\x7f]")


def _domain_allowlist(setup: Setup) -> Judgement:
    domains: list[str] = setup.params["allowed_domains"]
    allowed = frozenset(domains)
    suffixes = tuple(f".{domain}" for domain in domains)
    kinds, third = setup.kinds("target_step_types"), setup.is_third

    def judge(moment: Moment) -> Details | None:
        found = inside(moment.step.properties, _TARGET)
        if found is MISSING or found is None or found == "":
            return violation(f"{_TARGET} is not set") if third else None
        host = host_of(found) if third else str(found).casefold()
        if host is not None and (host in allowed or host.endswith(suffixes)):
            return None
        return violation(f"{_TARGET} is not an allowed domain", host=str(found))

    return Judgement(judge, kinds)


def host_of(value: Any) -> str | None:
    """Return the host that a host name, `host:port` or URL reaches; None if that is unclear.

    Backslashes, blanks and control characters are read differently by different clients, so
    nothing is allowed on their account.
    """
    if not isinstance(value, str) or _UNCLEAR.search(value):
        return None
    try:
        host = urlsplit(value if "//" in value else f"//{value}").hostname
        return host.rstrip(".").encode("idna").decode("ascii") if host else None
    except ValueError:
        return None


def _pii_in_request(setup: Setup) -> Judgement:
    sources: list[str] = setup.params["patterns"]
    patterns = [compile_pattern(source, strict=setup.is_third) for source in sources]

    def judge(moment: Moment) -> Details | None:
        content = moment.input_text
        for index, pattern in enumerate(patterns):
            if pattern.matches(content):
                # Not what was found: it would carry the personal data on.
                return violation("the input contains personal data", pattern_index=index)
        return None

    return Judgement(judge)


RULES = (
    Rule(
        "domain_allowlist",
        "A step may reach only the listed domains and their subdomains, by target.host in its "
        "properties. Schema 2 judges every step that has one; schema 3 judges the target kinds, "
        "wants a target and reads URLs.",
        AT_STEP,
        (
            Param("allowed_domains", "domains", "The allowed domains.", required=True),
            Param(
                "target_step_types",
                "step_types",
                "The kinds of steps that are judged.",
                required=True,
                schema="3",
            ),
        ),
        _domain_allowlist,
    ),
    Rule(
        "pii_in_request",
        "None of the patterns may be found in the JSON of the values of a step's input.",
        AT_STEP,
        (Param("patterns", "regexes", "Regular expressions.", required=True),),
        _pii_in_request,
    ),
)
