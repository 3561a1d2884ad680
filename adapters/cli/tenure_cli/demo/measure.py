"""What the demo's handler does to one file: reads it, parses it, measures it. Plain functions, run in threads."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections import Counter
from pathlib import Path

from attrs import Factory, frozen

from tenure.canonical import text_fault, utf8_size

INLINE = 128 * 1024
"""Bytes of a text that the journal keeps. A larger one is read again to be measured, and must have the same digest."""
NAMES = 20
"""How many of a file's names are kept, the most used."""

_BLOCKS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)


@frozen
class Source:
    """One file as it was read. `text` is None for one that is larger than INLINE, cannot be decoded, or holds a
    character that JSON cannot carry."""

    size: int
    sha256: str
    text: str | None


@frozen
class Measured:
    """The figures of one file; `why` says why it does not parse. `depth` counts blocks inside blocks, `names` has the
    most used ones."""

    path: str
    size: int
    lines: int
    parses: bool
    why: str = ""
    functions: int = 0
    classes: int = 0
    depth: int = 0
    names: dict[str, int] = Factory(dict[str, int])


class FileChanged(Exception):
    """The file is not what it was when it was read."""

    code = "file_changed"


def read(path: str) -> Source:
    """Effect one: the file at `path`."""
    content = Path(path).read_bytes()
    return Source(len(content), hashlib.sha256(content).hexdigest(), _text(content))


def measure(name: str, path: str, source: Source) -> Measured:
    """Effect two: the figures of what was read, under the file's `name`. Raises FileChanged."""
    content = source.text if source.text is not None else _again(path, source.sha256)
    lines = _lines(content)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Measured(
            name, source.size, lines, False, f"{type(error).__name__}: {_carried(str(error))}"[:200]
        )
    names: Counter[str] = Counter()
    functions = classes = deepest = 0
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]  # a stack of our own: no file is nested too deep for it
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, ast.Name):
            names[node.id] += 1
            continue
        if isinstance(node, _BLOCKS):
            depth += 1
            deepest = max(deepest, depth)
            functions += isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            classes += isinstance(node, ast.ClassDef)
        waiting += [(child, depth - _is_elif(node, child)) for child in ast.iter_child_nodes(node)]
    top = dict(sorted(names.most_common(NAMES), key=lambda pair: (-pair[1], pair[0])))
    return Measured(name, source.size, lines, True, "", functions, classes, deepest, top)


def _again(path: str, sha256: str) -> bytes:
    content = Path(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileChanged(f"{path} has changed since it was read; start it under another id")
    return content


def _text(content: bytes) -> str | None:
    if len(content) > INLINE:
        return None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return None
    return None if text_fault(text) or utf8_size(text) > INLINE else text


def _lines(content: str | bytes) -> int:
    if isinstance(content, str):
        return content.count("\n") + (content != "" and not content.endswith("\n"))
    return content.count(b"\n") + (content != b"" and not content.endswith(b"\n"))


def _is_elif(node: ast.AST, child: ast.AST) -> bool:
    """`elif` is no deeper than its `if`, though the tree has it inside."""
    return isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]


def _carried(text: str) -> str:
    """The text without what JSON cannot carry."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
