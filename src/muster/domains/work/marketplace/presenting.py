"""From bundles to what the API shows of them."""

from muster.domains.work.marketplace.bundles import KINDS, Bundle, bundles
from muster.domains.work.marketplace.errors import BundleNotFound
from muster.domains.work.marketplace.rendering import Rendered, chosen, render
from muster.domains.work.marketplace.schemas import (
    BundleTemplateOut,
    ExampleOut,
    ParameterOut,
    PlannedThing,
    TemplateList,
    TemplateSummary,
)
from muster.kernel.paging import Rows


def find_bundle(bundle_id: str) -> Bundle:
    """Return a bundle, or raise `BundleNotFound`."""
    bundle = bundles().get(bundle_id)
    if bundle is None:
        raise BundleNotFound(f"There are {', '.join(sorted(bundles()))}.")
    return bundle


def summary(bundle: Bundle, installation_id: str | None) -> TemplateSummary:
    """Return a bundle as lists show it."""
    return TemplateSummary(
        id=bundle.id,
        name=bundle.name,
        category=bundle.category,
        summary=bundle.summary,
        version=bundle.version,
        source="builtin",
        creates={kind: len(made) for kind in KINDS if (made := bundle.written(kind))},
        installed=installation_id is not None,
        installation_id=installation_id,
    )


def detail(bundle: Bundle, installation_id: str | None) -> BundleTemplateOut:
    """Return a bundle with all that it makes under its own names."""
    rendered = render(bundle, chosen(bundle, None, None, {}))
    return BundleTemplateOut(
        **summary(bundle, installation_id).model_dump(),
        description=bundle.description,
        parameters=[ParameterOut.model_validate(one) for one in bundle.parameters],
        things=[
            PlannedThing(
                kind=thing.kind,
                name=thing.name,
                uses=[f"{kind}:{name}" for kind, name in thing.uses],
                definition=thing.written,
            )
            for thing in rendered.things
        ],
        example=example(bundle, rendered),
    )


def example(bundle: Bundle, rendered: Rendered) -> ExampleOut:
    """Return the run that a bundle is tried with, under the names that were chosen."""
    return ExampleOut(execution=rendered.execution, approvals=bundle.example.approvals)


def listed(params: TemplateList, installed: dict[str, str]) -> Rows[TemplateSummary]:
    """Return a page of the bundles that match the filters."""
    found = [one for one in bundles().values() if _matches(one, params, installed)]
    page = found[params.offset : params.offset + params.limit]
    return Rows(
        [summary(one, installed.get(one.id)) for one in page],
        len(found),
        params.limit,
        params.offset,
        params.offset + len(page) < len(found),
    )


def _matches(bundle: Bundle, params: TemplateList, installed: dict[str, str]) -> bool:
    if params.category is not None and params.category.lower() != bundle.category.lower():
        return False
    if params.installed is not None and params.installed is not (bundle.id in installed):
        return False
    texts = (bundle.id, bundle.name, bundle.category, bundle.summary, bundle.description)
    wanted = (params.search or "").lower()
    return any(wanted in text.lower() for text in texts)
