"""Functions that the tests of effects have called, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from tenure.context import Context
from tests.core.trampoline_asks import driven, pause


@frozen
class Page:
    url: str
    size: int


def fetch(url: str) -> Page:
    return Page(url, len(url))


def refetch(url: str) -> Page:
    raise AssertionError("recorded, so not called")


async def fetch_slowly(url: str) -> Page:
    await pause()
    return Page(url, len(url))


def sized(a: int, b: int) -> int:
    return a * b


def untyped(url: Any) -> Any:
    return url


def effect(ctx: Context, key: str, fn: Callable[..., Any], *args: Any) -> Any:
    return driven(ctx.effect(key, fn, *args))
