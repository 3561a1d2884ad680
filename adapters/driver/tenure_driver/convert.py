"""Typed payloads and results: attrs and dataclass types as JSON, by cattrs."""

from __future__ import annotations

from typing import Any, cast, get_args

from attrs import has
from cattrs import transform_error
from cattrs.preconf.json import make_converter

from tenure.canonical import MAX_DEPTH


class CattrsConverter:
    """`tenure.Converter` by cattrs. JSON's own values pass untouched, so that what is not JSON is refused by name."""

    def __init__(self) -> None:
        self._cattrs = make_converter(forbid_extra_keys=True)

    def structure(self, value: Any, to: Any) -> Any:
        """The value as the type `to`, where an attrs or dataclass type is in it: `Job`, `list[Job]`, `Job | None`.
        Raises ValueError that names each field that does not fit."""
        if not _typed(to):
            return value
        try:
            return self._cattrs.structure(value, to)
        except Exception as mismatch:
            words = "; ".join(transform_error(mismatch)) or str(mismatch)
            raise ValueError(f"the value does not fit {getattr(to, '__name__', to)}: {words}") from None

    def unstructure(self, value: Any) -> Any:
        """The value as JSON types: what is of an attrs or dataclass type in it, at any level, becomes an object."""
        return self._plain(value, 0)

    def _plain(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:  # refused for its depth, by whoever makes it JSON
            return value
        kind = cast("type[object]", type(value))
        if kind is list:
            return [self._plain(item, depth + 1) for item in value]
        if kind is dict:
            return {key: self._plain(item, depth + 1) for key, item in value.items()}
        return self._cattrs.unstructure(value) if _typed(kind) else value


def _typed(to: Any) -> bool:
    """Whether an attrs or dataclass type is what is meant, or part of it."""
    if isinstance(to, type) and (has(to) or hasattr(to, "__dataclass_fields__")):
        return True
    return any(_typed(part) for part in get_args(to))
