"""What a registry may bring beside itself: a deployment of one store names one URL, and has all four facets."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from attrs import frozen

from tenure.contents import Contents, ContentStore
from tenure.errors import FacetMissing
from tenure.sessions import SessionStoreFactory


@frozen(eq=False)
class StoredFacets:
    """The session-store factory, and the stores of attachments and artifacts. Who brought them closes them."""

    sessions: SessionStoreFactory
    attachments: ContentStore
    artifacts: ContentStore


@runtime_checkable
class BringsFacets(Protocol):
    """A registry that has the other facets, too, of the same tier."""

    @abstractmethod
    def facets(self) -> StoredFacets:
        """Always the same, opened at the first call, from any thread; closed with the registry. Raises StoreUnusable,
        StoreUnavailable."""


def present(contents: Contents | None, what: str) -> Contents:
    """The deployment's attachments or artifacts. Raises FacetMissing."""
    if contents is None:
        raise FacetMissing(what)
    return contents
