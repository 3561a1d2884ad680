"""`run_process` of every adapter: a process that somebody runs without a worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
from attrs import evolve

from tenure import (
    App,
    Context,
    HandlerStopped,
    HeldLease,
    Plugin,
    ProcessFailed,
    RuntimeHost,
    Success,
    WorkerConfig,
)
from tenure.canonical import canonical
from tenure.process import ClaimId, Provenance, Registration, Work
from tenure.replies import Claimed, Succeeded
from tenure.requests import Claim, Complete, Register
from tenure_driver import BlockingContext, in_memory_host
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


def test_a_plain_handler_is_told_to_stop_as_soon_as_its_caller_is_cancelled(host: Host) -> None:
    """It goes on in its thread, where nobody can stop it but itself."""
    ends: list[str] = []
    app, running = App(), Event()

    @app.process("job")
    def job(ctx: BlockingContext) -> None:
        running.set()
        try:
            while not given_up.is_set():
                ctx.checkpoint()
        except HandlerStopped as stop:
            ends.append(stop.reason)
        else:
            ends.append("nobody told it")

    given_up = Event()
    config = config_of(stores.memory(), app)

    async def main() -> None:
        run = host.spawn(lambda: host.adapter.run_process(config, evolve(JOB, input=Work("job"))))
        await host.until(running.is_set)
        run.cancel()
        try:
            await host.until(lambda: ends)
            await host.until(lambda: run.done)
        finally:
            given_up.set()

    host.run(main)
    assert ends == ["cancel"]


def test_what_services_raise_when_they_are_left_is_logged(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """And the handler's outcome stands."""

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        yield
        raise OSError("not flushed")

    config = config_of(stores.memory(), handlers(), Plugin("service", {}, services=services))

    async def main() -> None:
        _, answer = config.registry.execute([Register(JOB), Claim(ClaimId("me", 1), "p", 30_000)])
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        lease = HeldLease(answer.reply.grants[0], answer.reply.epoch)
        assert await host.adapter.run_process(config, JOB, lease=lease) == Success(canonical(10))

    host.run(main)
    (said,) = [one for one in caplog.records if one.name == "tenure"]
    assert said.levelname == "WARNING"
    assert said.getMessage() == "process 'p': its services could not be left in order: OSError('not flushed')"


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
