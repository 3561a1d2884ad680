"""`run_process` of every adapter: a process that somebody runs without a worker."""

from __future__ import annotations

from typing import Any

import pytest

from tenure import App, Context, HeldLease, ProcessFailed, RuntimeHost, Success, WorkerConfig
from tenure.canonical import canonical
from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import Claimed, Succeeded
from tenure.requests import Claim, Complete, Register
from tenure_driver import in_memory_host
from tenure_driver.deployments import config_of
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host

JOB = Registration("p", Work("job", canonical(20)), ("half",), Provenance("chat-1"))


def handlers() -> App:
    app = App()

    @app.process("job", emits=["half"])
    async def job(ctx: Context, n: int) -> int:
        half: int = await ctx.effect("half", lambda: n // 2)
        await (await ctx.session()).append(half)
        return half

    return app


def test_a_process_is_run_under_the_callers_lease_and_completed_by_it(host: Host) -> None:
    """B3-B8: what it did is in the registry and in the owner's session; the outcome is the caller's to write."""
    registry = stores.memory()
    config = config_of(registry, handlers())
    _, answer = registry.execute([Register(JOB), Claim(ClaimId("me", 1), "p", 30_000)])
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, Claimed)
    lease = HeldLease(answer.reply.grants[0], answer.reply.epoch)

    async def main() -> None:
        outcome = await host.adapter.run_process(config, JOB, lease=lease)
        assert outcome == Success(canonical(10))
        async with host.adapter.connect(config) as client:
            assert (await client.get("p")).outcome is None
            registry.execute([Complete(lease.grant.fence, outcome)])
            assert await client.wait("p", BOUND) == outcome
            assert [entry.value for entry in await client.session("chat-1")] == [10]

    host.run(main)


def test_without_a_lease_nothing_is_journalled(host: Host) -> None:
    """B6: an inline host asks for no durable store."""
    made = config_of(stores.memory(), handlers())
    runtime: RuntimeHost = in_memory_host()
    config = WorkerConfig(made.plugins, runtime, made.sessions, made.registry)
    seen: list[Any] = []

    async def main() -> None:
        seen.append(await host.adapter.run_process(config, JOB))

    host.run(main)
    assert seen == [Success(canonical(10))]


@pytest.mark.parametrize("profile", ["gpu"])
def test_its_checks_are_errors(host: Host, profile: str) -> None:
    """B5: here nobody else can run it later, so who calls is told."""
    made = Registration("p", JOB.input, (), Provenance("chat-1", profile))
    with pytest.raises(Exception, match="'gpu'") as raised:
        host.run(lambda: host.adapter.run_process(config_of(stores.memory(), handlers()), made))
    assert type(raised.value).__name__ == "ProfileMismatch"
    assert not isinstance(raised.value, ProcessFailed)
