"""Mutants of a module: its syntax tree, each time with one small thing broken."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from tools.weaker_patterns import weaker

WIDTH = 88
"""How much of the code around a change is shown, in characters."""

Mutator = Callable[[ast.AST], Iterator[ast.AST]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `name` says it without a line number, so that a list of them lives longer."""

    path: Path
    line: int
    name: str
    tree: ast.Module
    place: "Place"
    changed: ast.AST

    def compile(self) -> CodeType:
        """Break the tree and compile it: once only, in a process of its own."""
        self.place.put(self.changed)
        ast.fix_missing_locations(self.tree)
        return compile(self.tree, str(self.path), "exec")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node hangs in the tree, and the name of the function or class around it."""

    parents: tuple[ast.AST, ...]
    field: str
    index: int | None
    where: str

    def get(self) -> ast.AST:
        found = getattr(self.parents[-1], self.field)
        return found if self.index is None else found[self.index]

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parents[-1], self.field, node)
        else:
            getattr(self.parents[-1], self.field)[self.index] = node


def mutants_of(path: Path) -> list[Mutant]:
    """Make all mutants of a module, in the order of its lines."""
    tree = ast.parse(path.read_text())
    found: list[Mutant] = []
    seen = Counter[str]()
    for place in _places(tree, (), ""):
        node = place.get()
        for changed in _changes(node, place):
            name = _name(place, node, changed)
            seen[name] += 1
            if seen[name] > 1:
                name = f"{name} ({seen[name]})"
            line: int = getattr(node, "lineno", 0)
            found.append(Mutant(path, line, name, tree, place, changed))
    return sorted(found, key=lambda mutant: mutant.line)


def _name(place: Place, node: ast.AST, changed: ast.AST) -> str:
    shown = node
    for parent in reversed(place.parents):
        text = ast.unparse(parent) if isinstance(parent, ast.expr | ast.stmt | ast.keyword) else ""
        if "\n" in text or len(text) > WIDTH or isinstance(parent, ast.Module):
            break
        shown = parent if text else shown
    before = " ".join(ast.unparse(shown).split())
    place.put(changed)
    after = " ".join(ast.unparse(changed if shown is node else shown).split())
    place.put(node)
    if len(before) > 2 * WIDTH:
        same = next(
            i for i, pair in enumerate(zip(before, after, strict=False)) if len({*pair}) > 1
        )
        start = max(0, same - WIDTH // 4)
        before, after = (f"...{text[start : start + WIDTH]}..." for text in (before, after))
    return f"{place.where}: {before} -> {after}"


def _places(node: ast.AST, parents: tuple[ast.AST, ...], where: str) -> Iterator[Place]:
    """Walk over every node that says what the program does."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        where = f"{where}.{node.name}" if where else node.name
    elif isinstance(node, ast.Assign) and not where and isinstance(node.targets[0], ast.Name):
        where = node.targets[0].id
    elif isinstance(node, ast.AnnAssign) and not where and isinstance(node.target, ast.Name):
        where = node.target.id
    inner = (*parents, node)
    for field, value in ast.iter_fields(node):
        if field in _SILENT or _is_for_types(node, field):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if isinstance(child, ast.AST) and not _is_silent(child):
                place = Place(inner, field, index if isinstance(value, list) else None, where)
                yield place
                yield from _places(child, inner, where)


_SILENT = {"annotation", "returns", "decorator_list", "format_spec", "ctx"}
_GENERIC = {"dict", "list", "set", "tuple", "frozenset", "Callable", "Final", "Literal"}


def _is_for_types(node: ast.AST, field: str) -> bool:
    """Whether only the type checker reads this part."""
    match node:
        case ast.Subscript(value=ast.Name(id=name)) if field == "slice":
            return name in _GENERIC
        case _:
            return _is_call_of(node, "zip") and field == "keywords"


def _is_silent(node: ast.AST) -> bool:
    """Whether it is a docstring, an import, or the name of a type."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case _:
            return False


def _changes(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    parent = place.parents[-1]
    if _is_call_of(parent, "cast") and place.index == 0:
        return
    for mutator in _MUTATORS:
        yield from mutator(node)
    if place.field in {"test", "ifs"} and not isinstance(node, ast.Constant):
        yield ast.Constant(value=True)
        yield ast.Constant(value=False)


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


_ORDER: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


def _comparisons(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _ORDER[type(operator)]:
                changed = copy(node)
                changed.ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield changed


def _booleans(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        changed = copy(node)
        changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield changed
        for index in range(len(node.values)):
            rest = [*node.values[:index], *node.values[index + 1 :]]
            yield ast.BoolOp(op=node.op, values=rest) if len(rest) > 1 else rest[0]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def _arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        changed = copy(node)
        changed.op = _ARITHMETIC[type(node.op)]()
        yield changed


def _constants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value=value + 1)
            yield ast.Constant(value=value - 1)
        case ast.Constant(value=str(value)) if " " not in value:  # else it is prose
            yield ast.Constant(value=f"{value}_")
        case _:
            return


def _patterns(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="re"), attr="compile"),
            args=[ast.Constant(value=str(pattern)), *rest],
        ):
            for changed in dict.fromkeys(weaker(pattern)):
                yield ast.Call(
                    func=node.func, args=[ast.Constant(value=changed), *rest], keywords=[]
                )
            if rest:
                yield ast.Call(func=node.func, args=[ast.Constant(value=pattern)], keywords=[])
        case _:
            return


_PAIRS = {"any": "all", "min": "max", "startswith": "endswith", "lstrip": "rstrip"}
_PAIRS |= {other: one for one, other in _PAIRS.items()}
_TEXT = {"casefold", "lower", "upper", "strip", "rstrip", "lstrip", "removeprefix", "removesuffix"}


def _calls(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Name(id=name) if name in _PAIRS:
            yield ast.Name(id=_PAIRS[name], ctx=ast.Load())
        case ast.Attribute(value=value, attr=name) if name in _PAIRS:
            yield ast.Attribute(value=value, attr=_PAIRS[name], ctx=ast.Load())
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _TEXT:
            yield value
        case _:
            pass
    if isinstance(node, ast.Call) and not _is_call_of(node, "zip"):  # `strict` is an assertion
        for index in range(len(node.keywords)):
            changed = copy(node)
            changed.keywords = [*node.keywords[:index], *node.keywords[index + 1 :]]
            yield changed


def _elements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Tuple(elts=elements, ctx=ast.Load()) | ast.List(elts=elements, ctx=ast.Load()):
            for index in range(len(elements)):
                changed = copy(node)
                changed.elts = [*elements[:index], *elements[index + 1 :]]
                yield changed
        case ast.Set(elts=elements):
            for index in range(len(elements)):
                rest = [*elements[:index], *elements[index + 1 :]]
                yield ast.Set(elts=rest) if rest else ast.parse("set()", mode="eval").body
        case ast.Dict(keys=keys, values=values):
            for index in range(len(keys)):
                changed = copy(node)
                changed.keys = [*keys[:index], *keys[index + 1 :]]
                changed.values = [*values[:index], *values[index + 1 :]]
                yield changed
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield ast.Slice(lower=None, upper=upper, step=node.step)
            if upper is not None:
                yield ast.Slice(lower=lower, upper=None, step=node.step)
        case _:
            return


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Return(value=None) | ast.Raise() | ast.Expr() | ast.AugAssign():
            yield ast.Pass()
        case ast.Return(value=ast.Constant(value=None)):
            yield ast.Return(value=ast.Dict(keys=[], values=[]))
        case ast.Return():
            yield ast.Return(value=ast.Constant(value=None))
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
            yield ast.Pass()
        case ast.Break():
            yield ast.Pass()
        case ast.ExceptHandler():
            changed = copy(node)
            changed.body = [ast.Raise()]
            yield changed
        case _:
            return


_MUTATORS: tuple[Mutator, ...] = (
    _comparisons,
    _booleans,
    _arithmetic,
    _constants,
    _patterns,
    _calls,
    _elements,
    _statements,
)
