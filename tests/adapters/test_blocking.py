"""Programs without an event loop: the same calls, without `await`."""

from __future__ import annotations

import inspect
import os
import signal
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

import tenure
from tenure import App, Cancelled, Client, Context, Handle, Success
from tenure.canonical import canonical
from tenure.requests import Prune
from tenure_driver import BlockingClient, BlockingContext, BlockingHandle, connect
from tests.adapters import leftovers, stores
from tests.adapters.loops import BOUND, Host

PAIRS = [(Client, BlockingClient), (Context, BlockingContext), (Handle, BlockingHandle)]

INNER = {"result", "told_to_stop", "limit", "timeout", "permitted"}
"""Public in the core for whoever runs it, and no part of what users call."""


@pytest.mark.parametrize(("awaited", "blocking"), PAIRS)
def test_the_same_names_and_signatures(awaited: type, blocking: type) -> None:
    def public(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")} - INNER

    assert public(awaited) == public(blocking) | ({"id"} & public(awaited))
    for name in public(awaited) & public(blocking):
        ours, theirs = inspect.getattr_static(blocking, name), inspect.getattr_static(awaited, name)
        if inspect.isfunction(ours):
            assert inspect.isfunction(theirs)
            assert not inspect.iscoroutinefunction(ours)
            assert shown(ours) == shown(theirs), name


def shown(method: FunctionType) -> list[str]:
    """The parameters, and what comes of the call; a generic function's types are told apart by the type checkers."""
    signature = inspect.signature(method)
    names = [f"{one.kind.name} {one.name} {one.default!r}" for one in signature.parameters.values()]
    if method.__name__ in ("start", "effect"):
        return names
    hints = [str(one.annotation) for one in signature.parameters.values()]
    return [*names, *hints, str(signature.return_annotation).removeprefix("Blocking").removeprefix("Async")]


def test_a_blocking_program(host: Host) -> None:
    app, store = App(), stores.memory()
    done: list[Any] = []

    @app.process("twice")
    async def twice(ctx: Context, number: int) -> int:
        return 2 * number

    def program() -> None:
        with connect(store) as client:
            handle = client.start(twice, 21, id="a", owner="me")
            done.append(handle.wait(BOUND))
            assert handle.outcome() == client.wait("a") == Success(canonical(42))
            assert handle.get() == client.get("a") == client.handle("a").get()
            assert [event.type for event in handle.events()] == ["process.ended"]
            assert [one.id for one in client.list(owner="me").records] == ["a"]
            other = client.start("nobody", emits=["word"])
            assert client.append(other.id, "word", 1) == 1
            with pytest.raises(tenure.WaitTimeout):
                other.wait(0.01)
            assert other.cancel("why") == Cancelled("why")
            assert client.cancel(other.id) == Cancelled("why")
            assert client.submit(Prune()) is not None

    async def main() -> None:
        async with host.adapter.worker(app, store):
            thread = threading.Thread(target=program)
            thread.start()
            await host.until(lambda: not thread.is_alive())
            thread.join()
        assert done == [42]

    host.run(main)


def test_many_threads_share_a_client() -> None:
    failures: list[BaseException] = []

    def use(client: BlockingClient, name: int) -> None:
        try:
            for turn in range(25):
                handle = client.start("nobody", turn, id=f"{name}/{turn}")
                assert handle.get().claims == 0
                handle.cancel()
                assert handle.outcome(BOUND) == Cancelled()
        except BaseException as error:
            failures.append(error)

    with connect("memory:") as client:
        threads = [threading.Thread(target=use, args=(client, name)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []


def test_nothing_is_left_of_calls_that_were_answered() -> None:
    before = leftovers.runners_and_drivers()
    with connect("memory:") as client:
        for turn in range(50):
            handle = client.start("nobody", turn)
            with pytest.raises(tenure.WaitTimeout):
                handle.wait(0)
            handle.cancel()
            handle.outcome(BOUND)
        leftovers.none_of([one for one in leftovers.runners_and_drivers() if one not in before])


def test_ctrl_c_breaks_off_a_call_that_waits() -> None:
    store = stores.Troubled(stores.memory())
    before = leftovers.runners_and_drivers()

    def interrupted(call: Callable[[], object]) -> None:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call()
        timer.join()

    with connect(store) as client:
        client.start("nobody", id="a")
        interrupted(lambda: client.wait("a"))
        store.held.clear()
        interrupted(lambda: client.get("a"))
        store.held.set()
        assert client.get("a").claims == 0
        leftovers.none_of([one for one in leftovers.runners_and_drivers() if one not in before])


def test_closing_wakes_whoever_waits() -> None:
    raised: list[BaseException] = []

    def wait(client: BlockingClient) -> None:
        try:
            client.wait("a")
        except tenure.WorkerClosed as error:
            raised.append(error)

    with connect("memory:") as client:
        client.start("nobody", id="a")
        threads = [threading.Thread(target=wait, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert len(raised) == 4
    with pytest.raises(tenure.WorkerClosed):
        client.get("a")


def test_calling_and_closing_at_the_same_time_never_hangs() -> None:
    """A call that passes while the client closes is answered, or raises WorkerClosed."""

    def call(client: BlockingClient, ended: list[str]) -> None:
        try:
            while True:
                client.get("a")
        except tenure.WorkerClosed:
            ended.append("closed")

    for _ in range(10):
        ended: list[str] = []
        with connect("memory:") as client:
            client.start("nobody", id="a")
            threads = [threading.Thread(target=call, args=(client, ended)) for _ in range(4)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(BOUND)
        assert ended == ["closed"] * 4


def test_a_plain_handler_of_a_closed_worker(host: Host) -> None:
    """Its calls raise; none waits for an answer that nobody will give."""
    app, let_go = App(), threading.Event()
    started, raised = threading.Event(), list[BaseException]()

    @app.process("outlasts")
    def outlasts(ctx: BlockingContext) -> None:
        started.set()
        let_go.wait(BOUND)
        try:
            ctx.effect("too late", str)
        except tenure.TenureError as error:
            raised.append(error)

    async def main() -> None:
        timings = tenure.LeaseTimings.scaled(0.6)
        async with host.adapter.worker(app, "memory:", grace=0, timings=timings) as worker:
            await worker.client.start(outlasts)
            await host.until(started.is_set)
        let_go.set()
        await host.until(lambda: raised)
        assert isinstance(raised[0], tenure.WorkerClosed)

    host.run(main)


def test_a_blocking_client_that_nobody_closed_warns() -> None:
    block = connect("memory:")
    block.__enter__()
    blocks = [block]
    del block
    with pytest.warns(ResourceWarning, match="a client of tenure was not closed"):
        blocks.clear()
