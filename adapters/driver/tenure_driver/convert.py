"""Typed payloads and results: attrs and dataclass types as JSON, by cattrs."""

from __future__ import annotations

from typing import Any

import cattrs
from attrs import has
from cattrs import transform_error


class CattrsConverter:
    """`tenure.Converter` by cattrs. JSON's own values pass untouched, so that what is not JSON is refused by name."""

    def __init__(self) -> None:
        self._cattrs = cattrs.Converter(forbid_extra_keys=True)

    def structure(self, value: Any, to: Any) -> Any:
        """The value as the type `to`. Raises ValueError that names each field that does not fit."""
        if not _typed(to):
            return value
        try:
            return self._cattrs.structure(value, to)
        except Exception as mismatch:
            words = "; ".join(transform_error(mismatch)) or str(mismatch)
            raise ValueError(f"the value does not fit {getattr(to, '__name__', to)}: {words}") from None

    def unstructure(self, value: Any) -> Any:
        """The value as JSON types, where it is of an attrs or dataclass type."""
        return self._cattrs.unstructure(value) if _typed(type(value)) else value


def _typed(to: Any) -> bool:
    return isinstance(to, type) and (has(to) or hasattr(to, "__dataclass_fields__"))
