"""Opens stores by URL. The driver imports none: each registers itself under the entry-point group `tenure.stores`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from tenure.errors import InvalidValue
from tenure.limits import Limits
from tenure.stores import ProcessRegistry

GROUP = "tenure.stores"


def open_store(url: str, limits: Limits | None = None) -> ProcessRegistry:
    """The store of that URL, such as `memory:` or `sqlite:///jobs.db`.

    Raises InvalidValue for a URL that is none, of a scheme that nobody offers, or whose extra is missing, and
    StoreUnusable where the store itself cannot be used.
    """
    scheme, colon, _ = url.partition(":")
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if not colon or not scheme:
        raise InvalidValue(f"{url!r} is no store URL; write sqlite:///jobs.db, say")
    point = offered.get(scheme)
    if point is None:
        known = ", ".join(sorted(offered)) or "none"
        raise InvalidValue(f"no store is installed for {scheme!r} URLs ({url!r}); installed: {known}")
    try:
        opener: Any = point.load()
    except ImportError as missing:
        raise InvalidValue(
            f"the store for {scheme!r} URLs needs a package that is not installed ({missing.name}); "
            f"install tenure[{scheme}]"
        ) from missing
    store: ProcessRegistry = opener(url, limits=limits or Limits())
    return store
