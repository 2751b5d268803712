"""An import contract: from outside, a slice is used through its package root and nothing deeper."""

from typing import Any, cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules

Breach = tuple[str, str, str, tuple[int, ...]]


class SlicePrivacy(Contract):
    """Every child of an ancestor is a slice; what lies below a slice is private to it.

    Options:
        ancestors: packages whose direct children are slices.
        exempt: packages that may reach into slices, such as composition roots. (Optional.)
    """

    ancestors = fields.SetField(subfield=fields.ModuleExpressionField())
    exempt = fields.SetField(subfield=fields.ModuleExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        del verbose
        ancestors = self._packages(graph, self.ancestors)
        exempt = self._packages(graph, self.exempt)
        slices = {
            child
            for ancestor in ancestors & graph.modules
            for child in graph.find_children(ancestor)
            if child not in ancestors
        }
        breaches = sorted(
            breach for owner in slices for breach in self._breaches(graph, owner, exempt)
        )
        return ContractCheck(
            kept=not breaches,
            warnings=[f"{name} does not exist." for name in sorted(ancestors - graph.modules)],
            metadata={"breaches": breaches},
        )

    def render_broken_contract(self, check: ContractCheck) -> None:
        by_slice: dict[str, list[Breach]] = {}
        for breach in cast("list[Breach]", check.metadata["breaches"]):
            by_slice.setdefault(breach[0], []).append(breach)
        for owner, breaches in by_slice.items():
            output.print_error(f"{owner} is reached into; import from {owner} itself:")
            output.new_line()
            for _, importer, imported, lines in breaches:
                places = ", ".join(f"l.{line}" for line in lines)
                output.print_error(f"-   {importer} -> {imported} ({places})", bold=False)
            output.new_line()
        output.print_error(
            "If a name is missing at the root of a slice, export it there in __all__; "
            "if it should not be public, the code that needs it belongs into the slice.",
            bold=False,
        )

    @staticmethod
    def _packages(graph: ImportGraph, expressions: Any) -> set[str]:
        return {module.name for module in module_expressions_to_modules(graph, expressions or ())}

    @staticmethod
    def _breaches(graph: ImportGraph, owner: str, exempt: set[str]) -> list[Breach]:
        at_home = {owner} | exempt
        return [
            (owner, importer, imported, _lines(graph, importer, imported))
            for imported in graph.find_descendants(owner)
            for importer in graph.find_modules_that_directly_import(imported)
            if not any(importer == home or importer.startswith(f"{home}.") for home in at_home)
        ]


def _lines(graph: ImportGraph, importer: str, imported: str) -> tuple[int, ...]:
    details = graph.get_import_details(importer=importer, imported=imported)
    return tuple(sorted({line for detail in details if (line := detail["line_number"])}))
