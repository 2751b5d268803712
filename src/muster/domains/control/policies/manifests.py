"""Manifests taken in and given out: many policies in one file."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.policies.engine import (
    Manifest,
    Policy,
    PolicyInvalid,
    Problem,
    Schema,
    dump_manifest,
    load_manifest,
)
from muster.domains.control.policies.errors import (
    ManifestImported,
    NothingToExport,
    PolicyUnreadable,
)
from muster.domains.control.policies.manifest_schemas import (
    ImportedPolicy,
    ManifestImport,
    ManifestReceipt,
)
from muster.domains.control.policies.notation import judged_by, refused
from muster.domains.control.policies.repository import PolicyRepository
from muster.domains.control.policies.service import PolicyService
from muster.kernel import clock
from muster.kernel.live import LiveBus
from muster.platform.access import Caller

_LONGEST = {"name": 255, "description": 10_000, "agent_id": 36}
_LONGEST_VERSION = 64


class ManifestService:
    """Use cases of manifests, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, live: LiveBus) -> None:
        self._policies = PolicyService(session, caller, live)
        self._stored = PolicyRepository(session, caller)

    async def take_in(self, body: ManifestImport) -> ManifestReceipt:
        """Make the policies of a manifest: all of them, or none."""
        manifest = read_manifest(body.manifest)
        known = await self._stored.of_manifest(manifest.name)
        if known and not body.replace:
            raise ManifestImported(
                f"The manifest {manifest.name} was imported already; give replace to have its "
                f"{len(known)} policies deleted with the import."
            )
        made = [
            _told(policy, await self._make(policy, manifest, body)) for policy in manifest.policies
        ]
        if not body.dry_run:
            for old in known:
                await self._policies.delete(old.id)
        return ManifestReceipt(
            name=manifest.name,
            version=manifest.version,
            dry_run=body.dry_run,
            replaced=len(known),
            policies=made,
        )

    async def _make(self, policy: Policy, manifest: Manifest, body: ManifestImport) -> str | None:
        if body.dry_run:
            await self._policies.require_agent(policy.agent_id)
            return None
        origin = {"manifest_name": manifest.name, "manifest_version": manifest.version}
        return (await self._policies.add(policy, **origin)).id

    async def give_out(self, schema: Schema) -> str:
        """Return all policies of the project as a manifest."""
        try:
            policies = tuple(judged_by(policy) for policy in await self._stored.all())
        except PolicyInvalid as error:
            raise PolicyUnreadable(str(error)) from error
        if not policies:
            raise NothingToExport
        version = clock.now().date().isoformat()
        manifest = Manifest(name="muster-export", version=version, policies=policies)
        return dump_manifest(manifest, generation=schema)


def read_manifest(text: str) -> Manifest:
    """Read a manifest; raises `PolicyRefused` with every place and line at fault."""
    try:
        manifest = load_manifest(text)
    except PolicyInvalid as error:
        raise refused(error.problems) from error
    problems = list(_unstorable(manifest))
    if problems:
        raise refused(problems)
    return manifest


def _unstorable(manifest: Manifest) -> list[Problem]:
    """Return what is fine to judge by, and too long or unfit to be kept."""
    found: list[Problem] = []

    def bound(path: str, value: Any, longest: int) -> None:
        if isinstance(value, str) and (len(value) > longest or "\0" in value):
            found.append(Problem(path, f"must have at most {longest} characters, none of them NUL"))

    bound("name", manifest.name, _LONGEST["name"])
    bound("version", manifest.version, _LONGEST_VERSION)
    for position, policy in enumerate(manifest.policies):
        for field, longest in _LONGEST.items():
            bound(f"policies[{position}].{field}", getattr(policy, field), longest)
        if "\\x00" in repr(policy.params):
            found.append(Problem(f"policies[{position}].params", "must be without NUL"))
    return found


def _told(policy: Policy, policy_id: str | None) -> ImportedPolicy:
    return ImportedPolicy(
        policy_id=policy_id,
        name=policy.name,
        rule_type=policy.rule_type,
        scope=policy.scope,
        severity=policy.severity,
        enabled=policy.enabled,
    )
