"""What of a framework the project's policies hold, item by item, and honestly what not."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.domains.control.policies import Policy, Template, policy_templates
from muster.domains.insight.reports.document import Framework, MappedItem, MappedPolicy
from muster.domains.insight.reports.gathering.framework_items import ITEMS

_NOT_COVERED = (
    "Not covered: the template has no policy for this item. It has to be met by other means."
)
_NOT_ACTIVE = "Not held: none of the template's policies for this item is active in this project."


def map_frameworks(
    stored: Sequence[Policy],
    violations: Mapping[str, int],
    only: str | None,
) -> list[Framework]:
    """Return how the frameworks stand: the one that is asked for, or all that are applied.

    `violations` has the occurrences in the period by the id of the policy.
    """
    applied = {policy.source_template for policy in stored}
    known = policy_templates()
    chosen = [only] if only is not None else [name for name in known if name in applied]
    return [_framework(known[name], stored, violations) for name in chosen if name in known]


def _framework(
    template: Template, stored: Sequence[Policy], violations: Mapping[str, int]
) -> Framework:
    own = [policy for policy in stored if policy.source_template == template.id]
    items = [
        _item(reference, title, raws, own, violations)
        for reference, title, raws in _items_of(template)
    ]
    states = [item.state for item in items]
    return Framework(
        id=template.id,
        name=template.name,
        version=template.version,
        is_applied=bool(own),
        held=states.count("held"),
        partial=states.count("partial"),
        gaps=states.count("gap"),
        items=items,
    )


Raw = Mapping[str, Any]


def _items_of(template: Template) -> Iterable[tuple[str, str, list[Raw]]]:
    """Yield each item: how it is referred to, its title, and the template's policies for it."""
    if template.id not in ITEMS:
        by_reference: dict[str, list[Raw]] = {}
        for raw in template.policies:
            by_reference.setdefault(raw["reference"], []).append(raw)
        yield from ((reference, "", raws) for reference, raws in by_reference.items())
        return
    source, items = ITEMS[template.id]
    for code, title in items:
        named = re.compile(rf"\b{re.escape(code)}\b")
        raws = [raw for raw in template.policies if named.search(raw["reference"])]
        yield f"{source} {code}", title, raws


def _item(
    reference: str,
    title: str,
    raws: Sequence[Raw],
    stored: Sequence[Policy],
    violations: Mapping[str, int],
) -> MappedItem:
    policies: list[MappedPolicy] = []
    counted = 0
    for raw in raws:
        found = [policy for policy in stored if policy.name == raw["name"]]
        counted += sum(violations.get(policy.id, 0) for policy in found)
        policies.append(_policy(raw["name"], found))
    state, gap = _state(policies)
    return MappedItem(
        reference=reference,
        title=title,
        state=state,
        gap=gap,
        violations=counted,
        policies=policies,
    )


def _policy(name: str, found: Sequence[Policy]) -> MappedPolicy:
    active = [policy for policy in found if policy.enabled]
    if not active:
        note = "is there and disabled" if found else "was not applied, or was deleted or renamed"
        return MappedPolicy(name=name, is_active=False, binds="nobody", note=note)
    for_all = any(policy.agent_id is None for policy in active)
    changed = any(policy.version > 1 for policy in active)
    return MappedPolicy(
        name=name,
        is_active=True,
        binds="every agent" if for_all else f"{len(active)} agent{'s'[: len(active) > 1]} only",
        note="was changed since it was applied" if changed else None,
    )


def _state(policies: Sequence[MappedPolicy]) -> tuple[str, str | None]:
    if not policies:
        return "gap", _NOT_COVERED
    active = [policy for policy in policies if policy.is_active]
    if not active:
        return "gap", _NOT_ACTIVE
    if len(active) < len(policies):
        missing = ", ".join(policy.name for policy in policies if not policy.is_active)
        return "partial", f"Partly held: not active are {missing}."
    if any(policy.binds != "every agent" for policy in active):
        return "partial", "Partly held: not every agent is bound."
    return "held", None
