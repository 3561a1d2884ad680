"""Opening: URLs, options, and processes made by fork."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import tenure
import tenure_driver
from tenure import App, LeaseTimings
from tests.adapters import stores
from tests.adapters.loops import Host


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no store URL"),
        ("jobs.db", "no store URL"),
        (":memory:", "no store URL"),
        ("mysql://here/x", "no store is installed for 'mysql'"),
        ("memory:x", "names no store in memory"),
    ],
)
def test_a_url_that_is_none(host: Host, url: str, said: str) -> None:
    async def main() -> None:
        async with host.adapter.worker(App(), url):
            raise AssertionError("opened")

    with pytest.raises(tenure.InvalidValue, match=said):
        host.run(main)
    with pytest.raises(tenure.InvalidValue, match=said):
        tenure_driver.open_store(url)


def test_a_store_whose_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = (EntryPoint("queer", "a_module_that_is_not_there:open_store", "tenure.stores"),)

    def found(group: str) -> tuple[EntryPoint, ...]:
        assert group == "tenure.stores"
        return offered

    monkeypatch.setattr("tenure_driver.stores.entry_points", found)
    with pytest.raises(tenure.InvalidValue, match=r"a_module_that_is_not_there.*install tenure\[queer\]"):
        tenure_driver.open_store("queer://x")
    with pytest.raises(tenure.InvalidValue, match="installed: queer"):
        tenure_driver.open_store("memory:")


def test_a_store_of_ones_own_is_first_class(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(group: str) -> tuple[Any, ...]:
        return (EntryPoint("own", f"{__name__}:open_own", group),)

    def load(point: EntryPoint) -> object:
        assert point.attr == "open_own"
        return open_own

    monkeypatch.setattr("tenure_driver.stores.entry_points", found)
    monkeypatch.setattr(EntryPoint, "load", load)
    with tenure_driver.connect("own:") as client:
        assert client.list().records == ()


def open_own(url: str, *, limits: tenure.Limits) -> tenure.ProcessRegistry:
    """What a user would register under `tenure.stores`."""
    assert url == "own:"
    return stores.memory(limits=limits)


def test_a_store_that_cannot_be_used(host: Host, tmp_path: Path) -> None:
    async def main() -> None:
        async with host.adapter.connect(f"sqlite:///{tmp_path}"):
            raise AssertionError("opened")

    with pytest.raises(tenure.StoreUnusable):
        host.run(main)


def test_timings_that_would_lose_a_lease() -> None:
    """L3: they are refused where they are made (CONTRACT §6)."""
    with pytest.raises(tenure.InvalidTimings, match=r"= 21 s must not exceed ttl = 20 s.*raise ttl or lower"):
        LeaseTimings(ttl=20, renew_interval=6)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(tenure.InvalidTimings, match="not a duration"):
            LeaseTimings(ttl=wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"max_running": 0},
        {"max_running": 1.5},
        {"grace": -1},
        {"poll_interval": float("nan")},
        {"max_lost": 0},
    ],
)
def test_options_that_make_no_sense(host: Host, options: dict[str, Any]) -> None:
    (name,) = options

    async def main() -> None:
        async with host.adapter.worker(App(), "memory:", **options):
            raise AssertionError("opened")

    with pytest.raises(tenure.InvalidValue, match=name):
        host.run(main)


def in_child(body: Callable[[], str]) -> str:
    """What the body returns in a child made by fork; the child ends without unwinding anything."""
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # later Pythons warn of forks beside threads: quite so
        child = os.fork()
    if child == 0:
        try:
            said = body()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("url", ["memory:", "sqlite"])
def test_every_call_in_a_forked_child_is_refused(host: Host, url: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = f"sqlite:///{tmp_path}/jobs.db" if url == "sqlite" else url
        async with host.adapter.worker(App(), store) as worker:
            client = worker.client
            handle = await client.start("nobody", id="a")

            def in_turn() -> str:
                said: list[str] = []
                calls: list[Callable[[], Any]] = [
                    lambda: client.get("a").send(None),
                    lambda: client.start("nobody").send(None),
                    lambda: client.cancel("a").send(None),
                    lambda: client.events("a").send(None),
                    lambda: client.list().send(None),
                    lambda: handle.wait().send(None),
                    worker.request_drain,
                ]
                for call in calls:
                    try:
                        call()
                        said.append("nothing")
                    except tenure.ForkedProcess:
                        said.append("ForkedProcess")
                return ",".join(said)

            assert in_child(in_turn) == ",".join(["ForkedProcess"] * 7)
            # The parent goes on.
            assert (await client.get("a")).claims == 0

    host.run(main)


def test_a_forked_child_may_open_its_own(host: Host) -> None:
    async def main() -> None:
        async with host.adapter.worker(App(), "memory:"):

            def child() -> str:
                with tenure_driver.connect("memory:") as client:
                    return client.start("nobody", id="mine").id

            assert in_child(child) == "mine"

    host.run(main)


def test_a_blocking_client_in_a_forked_child() -> None:
    with tenure_driver.connect("memory:") as client:
        client.start("nobody", id="a")
        assert in_child(lambda: client.get("a").id).startswith(
            "ForkedProcess: this process was made by fork()"
        )
        assert client.get("a").id == "a"
