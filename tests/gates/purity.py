"""The purity gate: what the core may import and call, checked on its source.

The machines decide everything and do no I/O, so that the code that runs in production is the very code
that is model-checked. That is kept by an allow-list, not by a list of what is forbidden: a module is
refused until somebody writes here why it does no I/O.

Five rules, each with a planted example in `test_purity.py`:

1. Imports are of `ALLOWED_MODULES` or of tenure itself, and no module is reached through another one.
2. `REFUSED_NAMES` are never called, and never taken as a value where they mean the builtin.
3. What leads around rule 2 (`__builtins__`, `globals()`, `__subclasses__`, ...) is refused too.
4. Nothing whose order is a set's order is iterated: not in a loop, a comprehension, an unpacking, nor in
   a call that keeps the order. `sorted(...)` first; `len`, `in`, `min`, `max` and set algebra need none.
5. Rule 4 also holds for names and fields that are annotated as sets, or assigned from one.

Run as a program it prints `file:line: reason` for each breach and exits with status 1.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core"

# Each does no I/O and reads neither a clock nor a source of randomness when it is imported or called.
ALLOWED_MODULES = frozenset({
    "__future__",
    "abc",
    "attrs",
    "collections",
    "collections.abc",
    "enum",
    "functools",
    "hashlib",
    "heapq",  # the order of wake-ups in the router; it only compares and moves items
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "types",
    "typing",
})  # fmt: skip

# I/O, code from strings, and what differs between two runs of one program (`id`, and `hash` of a string).
REFUSED_NAMES = frozenset({"open", "print", "input", "eval", "exec", "__import__", "id", "hash"})

# Names and attributes that give any of the above back under another name.
AROUND_NAMES = frozenset({
    "__builtins__", "__loader__", "__spec__", "breakpoint", "compile", "globals", "help", "locals", "vars",
})  # fmt: skip
AROUND_ATTRIBUTES = frozenset({
    "__builtins__", "__globals__", "__hash__", "__import__", "__loader__", "__spec__", "__subclasses__",
})  # fmt: skip

SET_TYPES = frozenset({"set", "frozenset", "Set", "AbstractSet", "MutableSet"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
# Calls whose result shows the order of what they are given.
ORDER_KEEPING = frozenset({
    "list", "tuple", "iter", "next", "enumerate", "map", "filter", "zip", "reversed", "dict", "chain",
    "reduce", "join", "extend",
})  # fmt: skip


@dataclass(frozen=True, order=True)
class Breach:
    """One place in the core that breaks one rule."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass
class Scope:
    """The names that one module, class or function binds, and those among them that hold a set."""

    is_class: bool
    bound: set[str] = field(default_factory=set[str])
    sets: set[str] = field(default_factory=set[str])


def check_source(source: str, path: Path, set_fields: frozenset[str] = frozenset()) -> list[Breach]:
    """The breaches in one file; `set_fields` are attribute names that hold a set wherever they occur."""
    tree = ast.parse(source, str(path))
    visitor = _Purity(path, set_fields | set_fields_of([tree]))
    visitor.visit(tree)
    return sorted(visitor.breaches)


def check_tree(root: Path) -> list[Breach]:
    """The breaches in every Python file below `root`."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}
    set_fields = set_fields_of(ast.parse(source, str(path)) for path, source in sources.items())
    return [breach for path, source in sources.items() for breach in check_source(source, path, set_fields)]


def set_fields_of(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Fields annotated as a set in some class and as nothing else in any: the name alone then says enough."""
    as_set: set[str] = set()
    otherwise: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        (as_set if _is_set_type(item.annotation) else otherwise).add(item.target.id)
    return frozenset(as_set - otherwise)


def _is_set_type(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in SET_TYPES
        case ast.Subscript(value=value, slice=inner):
            final = isinstance(value, ast.Name | ast.Attribute) and ast.unparse(value).endswith(
                ("Final", "ClassVar")
            )
            return _is_set_type(inner if final else value)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_set_type(left) or _is_set_type(right)
        case ast.Constant(value=str(text)):
            return _is_set_type(ast.parse(text, mode="eval").body)
        case _:
            return False


class _Purity(ast.NodeVisitor):
    def __init__(self, path: Path, set_fields: frozenset[str]) -> None:
        self.path = path
        self.set_fields = set_fields
        self.breaches: list[Breach] = []
        self.scopes: list[Scope] = []
        self.modules: dict[str, str] = {}

    def refuse(self, node: ast.AST, reason: str) -> None:
        self.breaches.append(Breach(self.path, getattr(node, "lineno", 1), reason))

    # Scopes: what a bare name means where it stands.

    def visit_Module(self, node: ast.Module) -> None:
        self.in_scope(node, node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all([*node.decorator_list, *node.bases, *node.keywords])
        self.in_scope(node, node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Decorators, defaults and annotations are evaluated outside the function.
        self.visit_all(node.decorator_list)
        self.visit(node.args)
        if node.returns is not None:
            self.visit(node.returns)
        self.in_scope(node, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self.in_scope(node, [node.body])

    def in_scope(
        self,
        node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        body: Sequence[ast.AST],
    ) -> None:
        scope = Scope(is_class=isinstance(node, ast.ClassDef))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            for arg in [
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                arguments.vararg,
                arguments.kwarg,
            ]:
                if arg is not None:
                    scope.bound.add(arg.arg)
                    if _is_set_type(arg.annotation):
                        scope.sets.add(arg.arg)
        self.scopes.append(scope)
        for inner in _own_nodes(body):
            self.bind(scope, inner)
        self.visit_all(body)
        self.scopes.pop()

    def bind(self, scope: Scope, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)):
                scope.bound.add(name)
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                scope.bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                scope.bound.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                scope.bound.update(alias.asname or alias.name.partition(".")[0] for alias in names)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_set_type(annotation):
                scope.sets.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self.is_set(value):
                scope.sets.add(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if self.is_set(value):
                scope.sets.add(name)
            case _:
                pass

    def scope_of(self, name: str) -> Scope | None:
        """The scope that binds `name` as seen from here; None: the builtin. A class body sees only itself."""
        visible = [scope for scope in self.scopes[:-1] if not scope.is_class] + self.scopes[-1:]
        return next((scope for scope in reversed(visible) if name in scope.bound), None)

    def visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    # Rule 1: imports.

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if _is_allowed(alias.name):
                self.modules[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
            else:
                self.refuse(node, f"imports {alias.name}, which is not on the allow-list")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level == 0 and not _is_allowed(module):
            self.refuse(node, f"imports {module}, which is not on the allow-list")
            return
        for alias in node.names:
            if node.level == 0 and (inner := _module_inside(module, alias.name)) is not None:
                self.use_inner(node, inner, alias.asname or alias.name)

    def use_inner(self, node: ast.AST, inner: str, name: str | None) -> None:
        if not _is_allowed(inner):
            self.refuse(node, f"reaches the module {inner} through another one")
        elif name is not None:
            self.modules[name] = inner

    # Rules 2 and 3: names.

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id in REFUSED_NAMES and self.scope_of(node.id) is None:
                self.refuse(node, f"takes the builtin {node.id} as a value")
            elif node.id in AROUND_NAMES and self.scope_of(node.id) is None:
                self.refuse(node, f"uses {node.id}, a way around the allow-list")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in AROUND_ATTRIBUTES:
            self.refuse(node, f"uses .{node.attr}, a way around the allow-list")
        module = self.module_of(node.value)
        if module is not None and (inner := _module_inside(module, node.attr)) is not None:
            self.use_inner(node, inner, None)
        self.generic_visit(node)

    def module_of(self, node: ast.expr) -> str | None:
        match node:
            case ast.Name(id=name):
                return self.modules.get(name)
            case ast.Attribute(value=value, attr=attr) if (outer := self.module_of(value)) is not None:
                return _module_inside(outer, attr)
            case _:
                return None

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=name) if name in REFUSED_NAMES:
                self.refuse(node, f"calls {name}")
                self.visit_all([*node.args, *node.keywords])
                return
            case (
                ast.Name(id="getattr" | "attrgetter" | "methodcaller" as name)
                | ast.Attribute(attr="attrgetter" | "methodcaller" | "__getattribute__" as name)
            ):
                for text in [arg.value for arg in node.args if isinstance(arg, ast.Constant)]:
                    if text in REFUSED_NAMES | AROUND_ATTRIBUTES | AROUND_NAMES:
                        self.refuse(node, f"fetches {text} with {name}, a way around the allow-list")
            case _:
                pass
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ORDER_KEEPING:
            for arg in node.args:
                self.iterates(arg)
        self.generic_visit(node)

    # Rules 4 and 5: the order of a set.

    def visit_For(self, node: ast.For) -> None:
        self.iterates(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.iterates(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        if isinstance(node.ctx, ast.Load):
            self.iterates(node.value)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self.iterates(node.value)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        # `{*a, *b}` unpacks into a set again, which shows no order.
        self.visit_all(item.value if isinstance(item, ast.Starred) else item for item in node.elts)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            self.iterates(node.value)
        self.generic_visit(node)

    def iterates(self, node: ast.expr) -> None:
        if self.is_set(node):
            self.refuse(node, f"iterates a set, whose order differs between runs: {ast.unparse(node)}")

    def is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in SET_METHODS | {"copy"}:
                return self.is_set(value)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return self.is_set(left) or self.is_set(right)
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.NamedExpr(value=value):
                return self.is_set(value)
            case ast.Name(id=name):
                scope = self.scope_of(name)
                return scope is not None and name in scope.sets
            case ast.Attribute(attr=attr):
                return attr in self.set_fields
            case _:
                return False


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope in source order, without what inner functions and classes hold."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(ast.iter_child_nodes(node))


def _is_allowed(module: str) -> bool:
    return module in ALLOWED_MODULES or module == "tenure" or module.startswith("tenure.")


def _module_inside(module: str, name: str) -> str | None:
    """The module that `module.name` is, if it is one; only an allowed module is imported to see."""
    if module not in ALLOWED_MODULES:
        return None
    value = getattr(importlib.import_module(module), name, None)
    return value.__name__ if isinstance(value, ModuleType) else None


def main(arguments: Sequence[str]) -> int:
    breaches = [breach for root in (arguments or [str(CORE)]) for breach in check_tree(Path(root))]
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
