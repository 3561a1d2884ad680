"""Strongly connected components of a graph of numbers: Tarjan's, without recursion."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence


def components(after: Sequence[Sequence[int]], inside: Sequence[bool]) -> Iterator[list[int]]:
    """The strongly connected components among the states that are `inside`, so each of them once; one that no cycle
    leads through is alone. `after`: the states after each state."""
    index = [0] * len(after)  # 0: not visited; else the order of visiting, from 1
    low = [0] * len(after)
    on_stack = bytearray(len(after))
    stack: list[int] = []
    visited = 0
    for root, wanted in enumerate(inside):
        if not wanted or index[root]:
            continue
        visited += 1
        index[root] = low[root] = visited
        stack.append(root)
        on_stack[root] = 1
        walk = [(root, iter(after[root]))]
        while walk:
            state, following = walk[-1]
            for then in following:
                if not inside[then]:
                    continue
                if not index[then]:
                    visited += 1
                    index[then] = low[then] = visited
                    stack.append(then)
                    on_stack[then] = 1
                    walk.append((then, iter(after[then])))
                    break
                if on_stack[then] and index[then] < low[state]:
                    low[state] = index[then]
            else:
                walk.pop()
                if walk and low[state] < low[walk[-1][0]]:
                    low[walk[-1][0]] = low[state]
                if low[state] == index[state]:
                    yield _popped(stack, on_stack, state)


def _popped(stack: list[int], on_stack: bytearray, root: int) -> list[int]:
    found: list[int] = []
    while True:
        state = stack.pop()
        on_stack[state] = 0
        found.append(state)
        if state == root:
            return found[::-1]


def way(after: Sequence[Sequence[int]], members: set[int], start: int, goal: int) -> list[int]:
    """A shortest way among the members, without its first state; empty from a state to itself."""
    if start == goal:
        return []
    before, queue = {start: start}, deque([start])
    while goal not in before:
        state = queue.popleft()
        for then in after[state]:
            if then in members and then not in before:
                before[then] = state
                queue.append(then)
    path = [goal]
    while before[path[-1]] != start:
        path.append(before[path[-1]])
    return path[::-1]
