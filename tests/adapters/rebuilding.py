"""Configurations whose sessions a test can see being opened, and fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from tenure import DurabilityTier, ProcessRegistry
from tenure.config import WorkerConfig
from tenure.sessions import SessionPolicy, SessionStore
from tenure_driver.deployments import config_of

OWNER = "chat-1"


@define(eq=False)
class Sessions:
    """A session-store factory in front of another. `fault` decides what opening raises, if anything."""

    registry: ProcessRegistry
    fault: Callable[[int], Exception | None] = lambda opening: None
    opened: list[str] = field(factory=list[str])

    @property
    def tier(self) -> DurabilityTier:
        return self.registry.tier

    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        self.opened.append(session_id)
        raised = self.fault(len(self.opened))
        if raised is not None:
            raise raised
        inner: Any = self.registry
        store: SessionStore = inner.facets().sessions.open(session_id, policy)
        return store

    def close(self) -> None: ...


def configured(registry: ProcessRegistry, sessions: Sessions, *plugins: Any, **changes: Any) -> WorkerConfig:
    """A configuration whose sessions are those."""
    made = config_of(registry, *plugins)
    return evolve(made, sessions=sessions, **changes)
