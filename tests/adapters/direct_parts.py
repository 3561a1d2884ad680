"""The process that the tests of direct runs run, and its lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tenure import App, HeldLease
from tenure.canonical import canonical
from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import Claimed, Succeeded
from tenure.requests import Claim, Register, Request
from tenure.stores import ProcessRegistry

T = TypeVar("T")
JOB = Registration("p", Work("job", canonical(7)), ("progress",), Provenance("the session"))
TTL = 30_000


def one(registry: ProcessRegistry, request: Request) -> Any:
    """The reply to a request that succeeds."""
    (answer,) = registry.execute([request])
    assert isinstance(answer, Succeeded), answer
    return answer.reply


def claimed(registry: ProcessRegistry, owner: str = "me", ttl: int = TTL) -> HeldLease:
    """The lease of the process, which is registered if it is not there yet."""
    one(registry, Register(JOB))
    reply = one(registry, Claim(ClaimId(owner, 1), "p", ttl))
    assert isinstance(reply, Claimed)
    return HeldLease(reply.grants[0], reply.epoch)


def handling(handler: Callable[..., Any]) -> App:
    """An application whose kind `job` that is."""
    app = App()
    app.process("job", emits=["progress"])(handler)
    return app
