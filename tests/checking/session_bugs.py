"""Bugs for the checker to find in the law of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure import session_model
from tenure.session_tables import Mark, SessionRow
from tenure.sessions import AppendEntry, MoveHead, SessionAnswer, SessionFence, SessionPolicy
from tenure.values import changed
from tests.checking.patching import Patch, setting


def of_sessions(name: str, make: Callable[[Any], object]) -> Patch:
    """That function of the law of sessions."""
    return setting(session_model, name, make)


class But:
    """A session's tables, with something else in the place of some methods."""

    def __init__(self, tables: Any, **instead: Any) -> None:
        self._tables = tables
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)


def raises_no_watermark(shipped: Any) -> object:
    """W9: the first opening makes the watermark, and no other one raises it."""

    def nothing(registry: str, process_id: str, mark: Mark) -> None:
        pass

    def opening(tables: Any, fence: SessionFence | None, *rest: Any) -> SessionAnswer:
        there = fence is not None and tables.mark(fence.registry, fence.process_id) is not None
        kept = But(tables, write_mark=nothing) if there else tables
        answer: SessionAnswer = shipped(kept, fence, *rest)
        return answer

    return opening


def forgets_the_moves(shipped: Any) -> object:
    def opening(tables: Any, *rest: Any) -> SessionAnswer:
        def write_mark(registry: str, process_id: str, mark: Mark) -> None:
            tables.write_mark(registry, process_id, changed(mark, moves=0))

        answer: SessionAnswer = shipped(But(tables, write_mark=write_mark), *rest)
        return answer

    return opening


def needs_no_watermark(shipped: Any) -> object:
    def execute(tables: Any, request: Any, *rest: Any) -> SessionAnswer:
        unmarked = isinstance(request, AppendEntry | MoveHead) and tables.mark("", "p") is None
        answer: SessionAnswer = shipped(tables, changed(request, fence=None) if unmarked else request, *rest)
        return answer

    return execute


def the_last_writer_wins(shipped: Any) -> object:
    def append(tables: Any, row: SessionRow, request: AppendEntry, policy: SessionPolicy) -> SessionAnswer:
        answer: SessionAnswer = shipped(tables, row, changed(request, parent=row.head), policy)
        return answer

    return append


def appends_again(shipped: Any) -> object:
    """What is there already under the id is not looked for."""

    def nothing(entry_id: str) -> None:
        pass

    def append(tables: Any, *rest: Any) -> SessionAnswer:
        answer: SessionAnswer = shipped(But(tables, entry=nothing), *rest)
        return answer

    return append


def another_body_is_the_same(shipped: Any) -> object:
    def append(tables: Any, row: SessionRow, request: AppendEntry, policy: SessionPolicy) -> SessionAnswer:
        known = tables.entry(request.entry_id)
        same = changed(request, body=known.body) if known is not None else request
        answer: SessionAnswer = shipped(tables, row, same, policy)
        return answer

    return append


def moves_from_anywhere(shipped: Any) -> object:
    def move(tables: Any, row: SessionRow, request: MoveHead, mark: Mark | None) -> SessionAnswer:
        answer: SessionAnswer = shipped(tables, row, changed(request, head=row.head), mark)
        return answer

    return move


def moves_again(shipped: Any) -> object:
    def move(tables: Any, row: SessionRow, request: MoveHead, mark: Mark | None) -> SessionAnswer:
        answer: SessionAnswer = shipped(tables, row, request, mark and changed(mark, moves=0))
        return answer

    return move
