"""Calling `run_process` on a real loop, as a deployment's own code may, and configurations of real stores."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from tenure import App, Outcome, ProcessRegistry, TenureError
from tenure.asks import Act, Ask, AskFunction, CallPlain
from tenure.attempt_types import Permitted
from tenure.config import RuntimeHost, WorkerConfig
from tenure.direct import FOREVER, HeldLease, run_process
from tenure.plugins import AnyPlugin
from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import Claimed, Succeeded
from tenure.requests import Claim, Register
from tenure.stores import DurabilityTier
from tenure_driver.convert import CattrsConverter
from tenure_driver.deployments import config_of
from tests.adapters.loops import Host
from tests.core.direct_world import Kept

JOB = Registration("p", Work("job"), (), Provenance("the session"))


def app(handler: Any = None) -> App:
    """An application that handles the kind `job`."""
    made = App("the application")
    made.process("job")(handler or (lambda ctx: "done"))
    return made


def durable(store: ProcessRegistry, *plugins: AnyPlugin, profile: str = "", **inline: Any) -> WorkerConfig:
    """A configuration of the registry's own stores, all of which say that they are durable, but for the facets that are
    named: `sessions=INLINE`."""
    config = config_of(store, *(plugins or (app(),)), profile=profile)
    tier = DurabilityTier.DURABLE
    said = dict.fromkeys(("effects", "attachments", "artifacts", "sessions", "registry"), tier) | inline
    runtime = config.runtime
    ours: dict[str, Any] = {
        "effects": runtime.effects,
        "attachments": runtime.attachments,
        "artifacts": runtime.artifacts,
    }
    ours |= {"sessions": config.sessions, "registry": store}
    kept: Any = {name: Kept(said[name], one) for name, one in ours.items()}
    host = RuntimeHost(kept["effects"], kept["attachments"], kept["artifacts"], profile)
    return evolve(config, runtime=host, sessions=kept["sessions"], registry=kept["registry"])


def claimed(registry: ProcessRegistry, registration: Registration = JOB, n: int = 1) -> HeldLease:
    """The lease of the process, which is registered if it is not there yet."""
    _, answer = registry.execute([Register(registration), Claim(ClaimId("me", n), registration.id, 30_000)])
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Claimed)
    return HeldLease(answer.reply.grants[0], answer.reply.epoch)


def under(lease: HeldLease, registry: ProcessRegistry, loop: AskFunction) -> AskFunction:
    """The loop's `ask`, for a caller that holds the lease itself: what is written under it goes to the registry."""

    async def ask(ask: Ask) -> Any:
        if not isinstance(ask, Act):
            return await loop(ask)
        if ask.request is None:
            return Permitted(FOREVER)
        (answer,) = await loop(CallPlain(registry.execute, ([ask.request],)))
        return answer

    return ask


def run(
    host: Host, config: WorkerConfig, registration: Registration = JOB, **rest: Any
) -> Outcome | TenureError:
    """What `run_process` returns there, or the error that it raises."""

    async def main() -> Outcome | TenureError:
        async with host.adapter.connect(config.registry) as opened:
            client: Any = opened  # its `ask` is what an integration into a loop has of its own
            lease = rest.get("lease")
            ask = under(lease, config.registry, client._ask) if lease else client._ask
            try:
                return await run_process(config, registration, ask=ask, convert=CattrsConverter(), **rest)
            except TenureError as error:
                return error

    return host.run(main)
