"""What a worker rebuilds around a process before it runs it (B7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tenure.contents import Contents
    from tenure.effects import EffectScope
    from tenure.session import Session


@frozen(eq=False)
class Runtime:
    """One process's surroundings: the session of its owner, the two stores of contents, and where its effects are
    kept. Rebuilt for every attempt; a plugin's services are started around it, and the handler's context has it.

    None stands for what the worker was configured without: a worker of a registry alone has no session, no
    attachments and no artifacts.
    """

    session: Session | None
    attachments: Contents | None
    artifacts: Contents | None
    effects: EffectScope
