"""The mutants of one module: mutmut's operators on every function, and on what runs when the module is imported.

mutmut itself mutates plain functions. Here properties, class bodies and tables are mutated as well, since a table is
what a machine consists of. Left out are annotations, docstrings, names that exist for the type checkers alone, what an
assertion that never fails would say, and the lines that the coverage of the core leaves out too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

import libcst as cst
from attrs import field, frozen
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import (
    NEVER_MUTATE_FUNCTION_NAMES,
    ChildReplacementTransformer,
    Mutation,
    MutationVisitor,
)
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

UNCOVERED = re.compile(r"assert_never\(|if TYPE_CHECKING:")
"""As `exclude_lines` of coverage in pyproject.toml."""

_FOR_TYPES = m.AnnAssign(annotation=m.Annotation(m.Name("TypeAlias"))) | m.Assign(
    value=m.Call(func=m.Name("TypeVar") | m.Name("ParamSpec") | m.Name("NewType"))
)
_OVERLOAD = m.Decorator(m.Name("overload"))
_CAST = m.Call(func=m.Name("cast"))


@frozen
class Mutant:
    """One change of one module, on line `at`. `lines` are those of the function whose body it is in, None outside of
    bodies; `around` is the text of the function, or of the statement, before the change."""

    module: str
    owner: str
    lines: range | None
    at: int
    number: int
    before: str
    after: str
    around: str = field(repr=False)
    source: str = field(repr=False)

    @property
    def name(self) -> str:
        """Unique, and the same for the same source: the tenth change of `tenure.registry._renew`."""
        return f"{self.module}:{self.owner}#{self.number}"

    @property
    def difference(self) -> str:
        """What changed, without its place: the same wherever the function moves."""
        return f"{self.before} -> {self.after}"


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module that compiles, in the order of the source."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    uncovered = {n for n, line in enumerate(source.splitlines(), 1) if UNCOVERED.search(line)}
    visitor = _Visitor(uncovered)
    tree = wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    spans = {
        node: (place.start.line, place.end.line)
        for node, place in positions.items()
        if isinstance(node, cst.FunctionDef)
    }
    starts = offsets(source)
    pieces = _pieces(tree)
    assert "".join(text for _, text in pieces) == source, f"{module} is not what its parts are"
    homes = {id(node): place for place in _places(tree, spans) for node in _walk(place.node)}
    bodies = {
        id(node)
        for place in _places(tree, spans)
        if isinstance(place.node, cst.FunctionDef)
        for node in _walk(place.node.body)
    }
    found: list[Mutant] = []
    numbers: dict[str, int] = {}
    for mutation in visitor.mutations:
        place = homes[id(mutation.original_node)]
        start = positions[mutation.original_node].start
        text = _spliced(source, tree, starts[start.line - 1] + start.column, mutation)
        text = text or _mutated(pieces, place.top, mutation)
        before, after = difference(source, text)
        try:
            compile(text, module, "exec", dont_inherit=True)
        except SyntaxError:
            continue
        numbers[place.owner] = numbers.get(place.owner, 0) + 1
        around = tree.code_for_node(place.node)
        lines = place.lines if id(mutation.original_node) in bodies else None
        found.append(
            Mutant(module, place.owner, lines, start.line, numbers[place.owner], before, after, around, text)
        )
    return found


def offsets(source: str) -> list[int]:
    """Where each line of the text begins."""
    return [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]


class _Visitor(MutationVisitor):
    """mutmut's, which also goes into decorated functions, and not into what is there for the type checkers."""

    def __init__(self, uncovered: set[int]) -> None:
        super().__init__(mutation_operators, IgnoredCode(uncovered, set(), set()))
        self._unseen: set[cst.CSTNode] = set()

    def _should_mutate_node(self, node: cst.CSTNode) -> bool:
        return not m.matches(node, _CAST) and super()._should_mutate_node(node)

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _CAST):
            assert isinstance(node, cst.Call)
            self._unseen.add(node.args[0])
        if isinstance(node, cst.Assert) and node.msg is not None:
            self._unseen.add(node.msg)
        if node in self._unseen:
            return True
        if isinstance(node, cst.FunctionDef):
            return node.name.value in NEVER_MUTATE_FUNCTION_NAMES or any(
                m.matches(decorator, _OVERLOAD) for decorator in node.decorators
            )
        return m.matches(node, _FOR_TYPES) or super()._skip_node_and_children(node)


@frozen(eq=False)
class _Place:
    """A function or another statement: the top-level statement it is in, its full name, a function's lines."""

    node: cst.CSTNode
    top: int
    owner: str
    lines: range | None


_Spans = dict[cst.FunctionDef, tuple[int, int]]


def _places(tree: cst.Module, spans: _Spans) -> Iterator[_Place]:
    """Inner ones last."""
    for top, statement in enumerate(tree.body):
        yield _Place(statement, top, _label(statement), _lines(statement, spans))
        if isinstance(statement, cst.ClassDef):
            for inner in statement.body.body:
                if isinstance(inner, cst.FunctionDef):
                    yield _Place(
                        inner, top, f"{statement.name.value}.{inner.name.value}", _lines(inner, spans)
                    )


def _label(statement: cst.CSTNode) -> str:
    """What a top-level statement defines."""
    if isinstance(statement, cst.FunctionDef | cst.ClassDef):
        return statement.name.value
    targets = m.findall(statement, m.AssignTarget() | m.AnnAssign())
    for target in targets:
        assert isinstance(target, cst.AssignTarget | cst.AnnAssign)
        if isinstance(target.target, cst.Name):
            return target.target.value
    return "import"


def _lines(node: cst.CSTNode, spans: _Spans) -> range | None:
    """From where the code object of a function says that it begins, its first decorator, to its end."""
    if not isinstance(node, cst.FunctionDef):
        return None
    first, last = spans[node]
    return range(first - len(node.decorators), last + 1)


def _pieces(tree: cst.Module) -> list[tuple[cst.CSTNode | None, str]]:
    """The module as text, statement by statement."""
    bare = tree.with_changes(body=[], header=[], footer=[])
    body = [(statement, bare.code_for_node(statement)) for statement in tree.body]
    head = "".join(bare.code_for_node(line) for line in tree.header)
    foot = "".join(bare.code_for_node(line) for line in tree.footer)
    return [(None, head), *body, (None, foot)]


def _spliced(source: str, tree: cst.Module, start: int, mutation: Mutation) -> str | None:
    """The module's text with the node replaced, where the node stands in it as it is; ten times as fast."""
    old = tree.code_for_node(mutation.original_node)
    if not source.startswith(old, start) or "\n" in old:
        return None
    return source[:start] + tree.code_for_node(mutation.mutated_node) + source[start + len(old) :]


def _mutated(pieces: Sequence[tuple[cst.CSTNode | None, str]], top: int, mutation: Mutation) -> str:
    statement = pieces[top + 1][0]
    assert statement is not None
    changed = statement.visit(ChildReplacementTransformer(mutation.original_node, mutation.mutated_node))
    assert isinstance(changed, cst.CSTNode)
    new = cst.Module([]).code_for_node(changed)
    return "".join(new if index == top + 1 else text for index, (_, text) in enumerate(pieces))


def difference(old: str, new: str) -> tuple[str, str]:
    """The lines that differ."""
    was, now = old.splitlines(), new.splitlines()
    head = next(
        (i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now))
    )
    was, now = was[head:], now[head:]
    while was and now and was[-1] == now[-1]:
        was.pop()
        now.pop()
    return " ".join(" ".join(was).split()), " ".join(" ".join(now).split())


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)
