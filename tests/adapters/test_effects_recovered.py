"""Effects after another attempt, on every loop and store: failures, large results, and what a stop left unrecorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tenure import App, Context, EffectFailed, InlineEffects, Outcome, ProcessRegistry, Success
from tenure.canonical import canonical
from tenure.contents import ContentStore
from tenure.errors import EffectUnreadable
from tenure.replies import EffectsRead, Succeeded
from tenure.requests import ReadEffects
from tenure.stores import DurabilityTier
from tenure_driver import What, open_store
from tenure_driver.deployments import config_of
from tests.adapters.loops import BOUND, Host

LARGE = "x" * (2 << 20)
"""More than the registry takes."""


class Declined(Exception):
    code = "no_funds"


class Careless:
    """Attachments that are given out with other bytes than were put there."""

    def __init__(self, kept: ContentStore) -> None:
        self._kept = kept
        self.begin, self.stat, self.close = kept.begin, kept.stat, kept.close

    @property
    def tier(self) -> DurabilityTier:
        return self._kept.tier

    def chunks(self, content_id: str) -> Iterator[bytes]:
        for chunk in self._kept.chunks(content_id):
            yield chunk.replace(b"x", b"y")


@pytest.fixture(params=["memory:", "sqlite:///effects.db"], ids=["memory", "sqlite"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProcessRegistry]:
    """A store that outlives the workers of a test."""
    monkeypatch.chdir(tmp_path)
    opened = open_store(request.param)
    yield opened
    opened.close()


class Flow:
    """A process of two effects, whose first attempt stands still until its worker gives it back."""

    def __init__(self, host: Host, store: ProcessRegistry) -> None:
        self.host, self.store = host, store
        self.calls: list[str] = []
        self.reached = False
        self.app = App()

    async def stand_still(self, ctx: Context) -> None:
        """On the first attempt."""
        if ctx.attempt == 1:
            self.reached = True
            await self.host.forever()

    async def twice(self, kind: Any, what: What) -> Outcome:
        """What becomes of it after another attempt."""
        async with self.host.adapter.worker(what, self._given(what), grace=0) as worker:
            await worker.client.start(kind, id="p")
            await self.host.until(lambda: self.reached)
        async with self.host.adapter.worker(what, self._given(what)) as worker:
            handle = worker.client.handle("p")
            assert (await handle.get()).claims <= 2
            return await handle.outcome(BOUND)

    def _given(self, what: What) -> ProcessRegistry | None:
        return self.store if isinstance(what, App) else None

    def recorded(self) -> dict[str, str]:
        """What the registry has, by key."""
        (answer,) = self.store.execute([ReadEffects("p")])
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, EffectsRead)
        return {effect.key: effect.result for effect in answer.reply.effects}


def test_a_failure_that_was_caught_is_the_same_on_the_next_attempt(
    host: Host, store: ProcessRegistry
) -> None:
    flow = Flow(host, store)

    def pay() -> str:
        flow.calls.append("pay")
        if len(flow.calls) == 1:
            raise Declined("no funds")
        return "paid"

    @flow.app.process("shop")
    async def shop(ctx: Context) -> str:
        try:
            return await ctx.effect("pay", pay)
        except EffectFailed as failed:
            await flow.stand_still(ctx)
            return f"{failed.effect_class} {failed.code} {failed.effect_message}"

    async def main() -> None:
        assert await flow.twice(shop, flow.app) == Success(canonical("Declined no_funds no funds"))
        assert flow.calls == ["pay"]

    host.run(main)


def test_a_large_result_is_an_attachment_and_comes_back(host: Host, store: ProcessRegistry) -> None:
    flow = Flow(host, store)

    async def fetch() -> str:
        flow.calls.append("fetch")
        return LARGE

    @flow.app.process("fetches")
    async def fetches(ctx: Context) -> int:
        text = await ctx.effect("fetch", fetch)
        await flow.stand_still(ctx)
        return len(text) if text == LARGE else -1

    async def main() -> None:
        assert await flow.twice(fetches, flow.app) == Success(canonical(len(LARGE)))
        assert flow.calls == ["fetch"]
        assert len(flow.recorded()["fetch"]) < 200

    host.run(main)


def test_a_large_result_that_was_altered_does_not_come_back(host: Host, store: ProcessRegistry) -> None:
    """S21: also where the attachments are of the deployment's own, and nobody there looks."""
    flow = Flow(host, store)

    def fetch() -> str:
        flow.calls.append("fetch")
        return LARGE

    @flow.app.process("fetches")
    async def fetches(ctx: Context) -> str:
        with pytest.raises(EffectUnreadable, match="has other bytes than were put there"):
            await ctx.effect("fetch", fetch)
        await flow.stand_still(ctx)
        return "told"

    made = config_of(store, flow.app)
    careless = Careless(made.runtime.attachments)
    config = evolve(made, runtime=evolve(made.runtime, attachments=careless))

    async def main() -> None:
        assert await flow.twice(fetches, config) == Success(canonical("told"))
        assert flow.calls == ["fetch"]

    host.run(main)


def test_an_error_that_a_drain_provoked_is_not_recorded(host: Host, store: ProcessRegistry) -> None:
    """Many libraries make an error of their own of a cancellation; the next attempt calls the function again."""
    flow = Flow(host, store)

    async def query() -> str:
        flow.calls.append("query")
        if len(flow.calls) > 1:
            return "rows"
        flow.reached = True
        try:
            await host.forever()
        except BaseException as cancelled:
            raise ConnectionError("the connection was closed") from cancelled
        return "never"

    @flow.app.process("queries")
    async def queries(ctx: Context) -> str:
        return await ctx.effect("query", query)

    async def main() -> None:
        assert await flow.twice(queries, flow.app) == Success(canonical("rows"))
        assert flow.calls == ["query", "query"]

    host.run(main)


def test_an_inline_host_calls_every_effect_again(host: Host, store: ProcessRegistry) -> None:
    flow = Flow(host, store)

    def count() -> int:
        flow.calls.append("count")
        return len(flow.calls)

    @flow.app.process("counts")
    async def counts(ctx: Context) -> int:
        counted = await ctx.effect("count", count)
        await flow.stand_still(ctx)
        return counted

    made = config_of(store, flow.app)
    config = evolve(made, runtime=evolve(made.runtime, effects=InlineEffects()))

    async def main() -> None:
        assert await flow.twice(counts, config) == Success(canonical(2))
        assert flow.recorded() == {}

    host.run(main)


def test_a_plain_handler_sees_the_same(host: Host, store: ProcessRegistry) -> None:
    app = App()

    @app.process("plain")
    def plain(ctx: Any) -> list[Any]:
        try:
            ctx.effect("zero", lambda: 1 // 0)
        except EffectFailed as failed:
            return [failed.effect_class, len(ctx.effect("large", lambda: LARGE))]
        return []

    async def main() -> None:
        async with host.adapter.worker(app, store) as worker:
            assert await (await worker.client.start(plain)).wait(BOUND) == ["ZeroDivisionError", len(LARGE)]

    host.run(main)
