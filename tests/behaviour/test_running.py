"""B1-B8: how a worker is configured, and what `run_process` does for one process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

import tenure
from tenure import App, Context, DurabilityTier, Failure, InlineEffects, ProcessRegistry, Success
from tenure.canonical import canonical, parsed
from tenure.config import WorkerConfig
from tenure.direct import Cancellation
from tenure.errors import (
    BlankProcessId,
    EffectHostFailed,
    OwnerScopeMissing,
    ProfileMismatch,
    ServicesFailed,
    TierMismatch,
)
from tenure.plugins import Plugin
from tenure.process import Cancelled, External, Provenance, Registration, Work
from tenure.sessions import Residency, SessionPolicy
from tenure_driver.deployments import config_of
from tests.adapters.loops import BOUND, Host
from tests.behaviour.directly import JOB, app, claimed, durable, run

DURABLE, INLINE = DurabilityTier.DURABLE, DurabilityTier.INLINE
DONE = Success(canonical("done"))
EXTERNAL = Registration("p", External(canonical({"by": "hand"})))


class Effects:
    """An effect host that gives what it is told to; `asked` for which processes."""

    tier = INLINE

    def __init__(self, gives: Any) -> None:
        self.gives, self.asked = gives, list[str]()

    def scope(self, process_id: str) -> Any:
        self.asked.append(process_id)
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def with_effects(registry: ProcessRegistry, effects: Any, handler: Any = None) -> WorkerConfig:
    """A configuration with that effect host."""
    config = config_of(registry, app(handler))
    return evolve(config, runtime=evolve(config.runtime, effects=effects))


# --- B1, B2: the configuration ------------------------------------------------------------------------------------


def test_b01_a_worker_is_made_of_plugins_hosts_stores_policy_and_residency(
    registry: ProcessRegistry, host: Host
) -> None:
    """By a plugin host, by factories or by a stack; policy and residency have defaults. The row has only input and
    provenance: what runs it comes from the deployment."""
    seen: list[Any] = []

    async def handler(ctx: Context, n: int) -> int:
        session = await ctx.session()
        await session.append(n)
        content = await ctx.attachments.put(b"bytes")
        seen.append((ctx.id, session.id, await ctx.attachments.get(content.id)))
        return n + 1

    made = app(handler)
    base = config_of(registry, made, profile="eu")
    rest: Any = {"runtime": base.runtime, "sessions": base.sessions, "registry": registry}
    configs = [
        WorkerConfig(base.plugins, **rest),
        WorkerConfig.from_factories(lambda: made, **rest),
        WorkerConfig.from_stack(made, **rest),
    ]

    async def main() -> None:
        for n, config in enumerate(configs):
            assert config.policy == SessionPolicy(100_000, 1 << 20, 256 << 20)
            assert config.residency is Residency.ACTIVE_PATH_ONLY
            async with host.adapter.worker(config) as worker:
                start = worker.client.start
                handle = await start("job", n, id=f"p{n}", owner="s", profile="eu")
                assert await handle.wait(BOUND) == n + 1
                row = await handle.get()
                provenance = Provenance("s", "eu")
                assert row.registration == Registration(handle.id, Work("job", canonical(n)), (), provenance)

    host.run(main)
    assert seen == [(f"p{n}", "s", b"bytes") for n in range(3)]


def test_b02_many_workers_share_one_configuration(registry: ProcessRegistry, host: Host) -> None:
    """The same object, not copies of it; each worker opens the plugins for itself."""
    opened: list[App] = []

    def factory() -> App:
        opened.append(app())
        return opened[-1]

    base = config_of(registry)
    config = WorkerConfig.from_factories(
        factory, runtime=base.runtime, sessions=base.sessions, registry=registry
    )

    async def main() -> None:
        async with host.adapter.worker(config) as one, host.adapter.worker(config) as other:
            assert one.owner != other.owner
            running: Any
            for running in (one, other):
                assert running._loop.runner.config is config
            handles = [await one.client.start("job", id=f"p{n}") for n in range(4)]
            assert [await handle.outcome(BOUND) for handle in handles] == [DONE] * 4
        assert len(opened) == 2
        async with host.adapter.worker(config) as third:  # the stores outlive the workers
            assert await (await third.client.start("job")).outcome(BOUND) == DONE

    host.run(main)


# --- B3, B4: the scope of its effects -----------------------------------------------------------------------------


def test_b03_the_effect_host_is_asked_for_the_scope_of_that_process_first(
    registry: ProcessRegistry, host: Host
) -> None:
    """A host that fails, or gives none, is an error that says so, before any other check."""
    inline = InlineEffects().scope("p")
    effects = Effects(inline)
    assert run(host, with_effects(registry, effects)) == DONE
    assert effects.asked == ["p"]
    for gives, why in (
        (OSError("no disk"), "it raised OSError: no disk"),
        (None, "it returned None, which is no EffectScope"),
    ):
        for registration in (JOB, EXTERNAL, evolve(JOB, provenance=Provenance(""))):
            refused = run(host, with_effects(registry, Effects(gives)), registration)
            assert isinstance(refused, EffectHostFailed)
            assert str(refused) == f"the effect host gave process 'p' no scope for its effects: {why}"


def test_b04_a_caller_may_bring_a_scope_of_its_own(registry: ProcessRegistry, host: Host) -> None:
    """Then no host is asked."""

    class Own:
        kept: dict[str, str] = {}  # noqa: RUF012 - one test's

        def journal(self, ask: Any, grant: Any, epoch: int) -> Own:
            return self

        async def recorded(self) -> dict[str, Any]:
            return {}

        async def record(self, key: str, fingerprint: str, result: Any) -> Any:
            self.kept[key] = result
            return result

    async def handler(ctx: Context) -> int:
        return await ctx.effect("one", int, "7")

    effects, own = Effects(OSError("never asked")), Own()
    assert run(host, with_effects(registry, effects, handler), effects=own) == Success(canonical(7))
    assert effects.asked == []
    assert own.kept == {"one": "7"}


# --- B5, B6: the checks -------------------------------------------------------------------------------------------


def test_b05_the_checks_come_in_their_order_and_before_anything_runs(
    registry: ProcessRegistry, host: Host
) -> None:
    """The id, the host profile, the tiers; an external process ends there; the owner's scope."""

    def handler(ctx: Any) -> None:
        raise AssertionError("nothing runs")

    fit = durable(registry, app(handler), profile="ours")
    poor = durable(registry, app(handler), profile="ours", artifacts=INLINE)
    blank = Registration(" ", Work("job"), (), Provenance("", "theirs"))
    foreign = evolve(blank, id="p")
    ownerless = Registration("p", Work("job"), (), Provenance("", "ours"))
    for config, registration, error, said in (
        (poor, blank, BlankProcessId, "the process id is empty or blank"),
        (
            poor,
            foreign,
            ProfileMismatch,
            "the process was made for host profile 'theirs', this worker's is 'ours'",
        ),
        (
            poor,
            ownerless,
            TierMismatch,
            "a durable worker needs a durable artifact store; the configured one is inline",
        ),
        (
            fit,
            ownerless,
            OwnerScopeMissing,
            "process 'p' names no owner scope, so it has no session to run in",
        ),
    ):
        refused = run(host, config, registration)
        assert (type(refused), str(refused)) == (error, said)
    metadata = Success(canonical({"metadata": {"by": "hand"}}))
    assert run(host, fit, EXTERNAL) == metadata, "an external one ends before its owner is asked for"
    profiled = evolve(EXTERNAL, provenance=Provenance("", "theirs"))
    assert isinstance(run(host, fit, profiled), ProfileMismatch)


def test_b05_no_session_is_opened_for_an_external_process(registry: ProcessRegistry, host: Host) -> None:
    config = evolve(config_of(registry, app()), sessions=NoSessions())
    assert run(host, config, EXTERNAL) == Success(canonical({"metadata": {"by": "hand"}}))
    assert isinstance(run(host, config), tenure.TenureError)


class NoSessions:
    """A session-store factory that nobody should ask."""

    tier = DURABLE
    error: Exception = AssertionError("a session was opened")

    def open(self, session_id: str, policy: SessionPolicy) -> Any:
        raise self.error

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("facet", "words"),
    [
        ("attachments", "attachment store"),
        ("artifacts", "artifact store"),
        ("sessions", "session store factory"),
        ("registry", "process registry"),
    ],
)
def test_b06_the_configured_effect_host_decides_how_durable_the_rest_must_be(
    registry: ProcessRegistry, host: Host, facet: str, words: str
) -> None:
    """The first facet in order that is not durable is named; a scope of the caller's own changes nothing. If the host
    is not durable, anything goes."""
    order = ["attachments", "artifacts", "sessions", "registry"]
    poorer: Any = dict.fromkeys(order[order.index(facet) :], INLINE)
    said = f"a durable worker needs a durable {words}; the configured one is inline"
    for own in (None, InlineEffects().scope("p")):
        refused = run(host, durable(registry, **poorer), effects=own)
        assert (type(refused), str(refused)) == (TierMismatch, said)
    assert run(host, durable(registry, effects=INLINE, **poorer)) == DONE


# --- B7, B8: the runtime, and the run -----------------------------------------------------------------------------


def test_b07_the_sessions_runtime_is_rebuilt_before_the_handler_runs(
    registry: ProcessRegistry, host: Host
) -> None:
    """The owner's session under its policy and residency, the stores of contents, and what plugins start."""
    order: list[Any] = []

    @asynccontextmanager
    async def services(runtime: Any) -> AsyncGenerator[None]:
        order.append(("services", runtime.session.id))
        yield
        order.append(("closed", runtime.session.id))

    async def handler(ctx: Context) -> list[Any]:
        order.append("handler")
        artifact = await ctx.artifacts.put(b"made")
        session = await ctx.session()
        await session.append({"made": artifact.id})
        return [parsed(entry.body) for entry in session.path]

    plugin = Plugin("p", app(handler).kinds, services=services)
    config = config_of(registry, plugin)

    async def main() -> None:
        async with host.adapter.worker(config) as worker:
            session = await worker.client.session("s")
            await session.append("before")
            handle = await worker.client.start("job", owner="s")
            before, made = await handle.wait(BOUND)
            assert before == "before"
            assert await worker.client.artifacts.get(made["made"]) == b"made"
            await session.refresh()
            assert [parsed(entry.body) for entry in session.path] == [before, made]

    host.run(main)
    assert order == [("services", "s"), "handler", ("closed", "s")]


@pytest.mark.parametrize("point", ["open", "build", "services"])
def test_b07_each_of_the_three_points_that_can_fail_names_the_session_and_the_cause(
    registry: ProcessRegistry, host: Host, point: str
) -> None:
    def handler(ctx: Any) -> None:
        raise AssertionError("nothing runs")

    class Unreadable:
        def execute(self, request: Any) -> Any:
            raise OSError("disk gone")

    class Failing(NoSessions):
        def open(self, session_id: str, policy: SessionPolicy) -> Any:
            if point == "open":
                raise OSError("disk gone")
            return Unreadable()

    def services(runtime: Any) -> Any:
        raise OSError("disk gone")

    plugin = Plugin("mail", app(handler).kinds, services=services if point == "services" else None)
    config = config_of(registry, plugin)
    if point != "services":
        config = evolve(config, sessions=Failing())
    config = evolve(config, runtime=evolve(config.runtime, effects=InlineEffects()))
    refused = run(host, config)
    wanted = ServicesFailed if point == "services" else tenure.SessionUnavailable
    assert type(refused) is wanted
    for word in ("'the session'", "disk gone", *(("'p'", "'mail'") if point == "services" else ())):
        assert word in str(refused)


def test_b08_the_handler_runs_in_its_scope_and_from_here_on_failures_are_outcomes(
    registry: ProcessRegistry, host: Host
) -> None:
    """With the handler's own class and code; its effects are in the registry, under the caller's lease."""

    class NoFunds(Exception):
        code = "no_funds"

    async def handler(ctx: Context) -> None:
        assert await ctx.effect("price", int, "7") == 7
        raise NoFunds("too poor")

    lease = claimed(registry)
    outcome = run(host, durable(registry, app(handler)), lease=lease)
    assert outcome == Failure("NoFunds", "no_funds", "too poor")
    again: list[Any] = []

    async def recalls(ctx: Context) -> int:
        again.append(await ctx.effect("price", int, "7"))
        return ctx.attempt

    assert run(host, durable(registry, app(recalls)), lease=lease) == Success(canonical(1))
    assert again == [7]


def test_b08_the_handler_can_observe_its_cancellation(registry: ProcessRegistry, host: Host) -> None:
    cancellation = Cancellation()

    async def handler(ctx: Context) -> None:
        before = ctx.stop_reason
        cancellation.cancel("not needed")
        assert (before, ctx.stop_reason) == (None, "cancel")
        ctx.checkpoint()

    config = with_effects(registry, InlineEffects(), handler)
    assert run(host, config, cancellation=cancellation) == Cancelled("not needed")
    assert run(host, config, cancellation=cancellation) == Cancelled("not needed"), "before the run counts"
