"""Calls of clients on every loop, through real threads, to stores that answer badly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from tenure import App, Context, LeaseLost, LeaseTimings, StoreUnknown
from tenure.process import ClaimId
from tenure.replies import Answer, Unavailable, Unknown
from tenure.requests import Claim, Register, Request
from tenure.stores import Cursor
from tenure_driver import Runner
from tenure_driver.bodies import Body
from tests.adapters import stores
from tests.adapters.loops import BOUND, Host, Running


class Deaf(stores.Troubled):
    """Tells nobody that it has changed."""

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        threading.Event().wait(min(timeout, 0.02))
        return after


class Narrow(stores.Troubled):
    """Can execute a hundred requests at once, and breaks off where there are more."""

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        if len(batch) > 100:
            return [Unavailable("the transaction is too large")] * len(batch)
        return super().execute(batch)


def test_what_may_have_been_applied_is_never_said_to_be_surely_not(host: Host) -> None:
    """K9, S18: the first answer was Unknown, and the ones after it tell no more."""
    answers = iter([Unknown])
    store = stores.Troubled(
        stores.memory(),
        lambda request: next(answers, Unavailable) if isinstance(request, Register) else None,
    )

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            with pytest.raises(StoreUnknown):
                await evolve(client, timeout=0.2).start("ends")

    host.run(main)


def test_what_is_registered_here_is_claimed_without_waiting_for_the_feed(host: Host) -> None:
    """L1: the worker knows by itself that there is something."""
    app, ran = App(), list[str]()

    @app.process("ends")
    async def ends(ctx: Context) -> None:
        ran.append(ctx.id)

    async def main() -> None:
        async with host.adapter.worker(app, Deaf(stores.memory()), poll_interval=3_600) as worker:
            await worker.client.start(ends)
            await host.until(lambda: ran)

    host.run(main)


def test_calls_that_are_too_many_for_one_transaction_are_split(host: Host) -> None:
    """L8: what breaks a batch holds up nothing else for ever."""
    store = Narrow(stores.memory())

    async def main() -> None:
        async with host.adapter.connect(store) as client:
            patient = evolve(client, timeout=BOUND / 2)
            calls = [host.spawn(lambda: patient.start("ends")) for _ in range(101)]
            await host.until(lambda: all(call.done for call in calls))
            assert [call.error for call in calls] == [None] * 101

    host.run(main)


def test_a_plain_function_that_waited_for_its_thread_does_not_begin_under_a_lost_lease(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S13: nor does one that nobody cancels, since it is awaited by a task of the handler's own."""
    app, clock = App(), stores.Clock()
    store = stores.memory(clock)
    made, entered, let_go = list[Body[Any]](), threading.Event(), threading.Event()
    ran, running, tasks = list[str](), list[Context](), list[Running]()
    body = Runner.body

    def noted(runner: Runner, call: Callable[[], Any]) -> Body[Any]:
        made.append(body(runner, call))
        return made[-1]

    monkeypatch.setattr(Runner, "body", noted)

    def holds() -> None:
        entered.set()
        let_go.wait(BOUND)

    @app.process("k")
    async def k(ctx: Context) -> None:
        running.append(ctx)
        tasks.append(host.spawn(lambda: ctx.effect("first", holds)))
        await host.until(entered.is_set)
        before = len(made)
        tasks.append(host.spawn(lambda: ctx.effect("second", ran.append, "second")))
        await host.until(lambda: len(made) > before)
        clock.expire_leases()
        store.execute([Claim(ClaimId("another", 1), ctx.id, 30_000)])
        await host.forever()

    async def main() -> None:
        timings = LeaseTimings.scaled(0.6)
        async with host.adapter.worker(app, store, max_running=1, timings=timings) as worker:
            await worker.client.start(k)
            await host.until(lambda: running and running[0].stop_reason in ("lease_lost", "deadline"))
            let_go.set()
            await host.until(lambda: len(tasks) == 2 and all(task.done for task in tasks))
            assert ran == []
            assert isinstance(tasks[1].error, LeaseLost)

    host.run(main)
