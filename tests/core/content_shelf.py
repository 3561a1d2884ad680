"""A store of contents as a value, and an `ask` that lets a coroutine be cut short at each of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from tenure.asks import Ask, CallPlain
from tenure.contents import BytesLike, Chunk, Content, Contents, Intake, check_id, verified
from tenure.errors import ContentNotFound
from tenure.stores import DurabilityTier
from tests.core.trampoline_asks import pause


@define(eq=False)
class Shelf:
    """A `ContentStore`. `calls`: every call of it and of its uploads, in order; `fails`: the calls that raise."""

    calls: list[str] = field(factory=list[str])
    fails: dict[str, Exception] = field(factory=dict[str, Exception])
    kept: dict[str, tuple[Content, list[Chunk]]] = field(factory=dict[str, tuple[Content, list[Chunk]]])
    tier: DurabilityTier = DurabilityTier.INLINE

    def call(self, name: str) -> None:
        """It was called."""
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def begin(self) -> Pile:
        self.call("begin")
        return Pile(self)

    def stat(self, content_id: str) -> Content:
        self.call("stat")
        check_id("attachment", content_id)
        if content_id not in self.kept:
            raise ContentNotFound("attachment", content_id)
        return self.kept[content_id][0]

    def chunks(self, content_id: str) -> Iterator[bytes]:
        content = self.stat(content_id)
        for body in verified("attachment", content, self.kept[content_id][1]):
            self.call("chunk")
            yield body

    def close(self) -> None:
        self.call("close")


@define(eq=False)
class Pile:
    """An upload to a shelf."""

    shelf: Shelf
    intake: Intake = field(factory=lambda: Intake("attachment"))
    chunks: list[Chunk] = field(factory=list[Chunk])

    def write(self, chunk: BytesLike) -> None:
        self.chunks += self.intake.feed(chunk)
        self.shelf.call(f"write {len(chunk)}")

    def commit(self, name: str, media_type: str) -> Content:
        self.shelf.call("commit")
        self.chunks += self.intake.last()
        content = self.intake.content(name, media_type)
        return self.shelf.kept.setdefault(content.id, (content, self.chunks))[0]

    def abort(self) -> None:
        self.shelf.call("abort")

    def abandon(self) -> None:
        self.shelf.call("abandon")


@define(eq=False)
class Asking:
    """What the loops do for contents. `inside`: a plain call is being made, where it may block; `gone`: nobody is left
    to make it from the n-th ask on."""

    shelf: Shelf = field(factory=Shelf)
    inside: bool = False
    asked: int = 0
    gone_after: int = 1_000_000
    gone: BaseException = field(factory=lambda: RuntimeError("gone"))

    async def ask(self, ask: Ask) -> Any:
        assert isinstance(ask, CallPlain)
        self.asked += 1
        await pause()
        if self.asked > self.gone_after:
            raise self.gone
        self.inside = True
        try:
            return ask.called()
        finally:
            self.inside = False
            await pause()

    @property
    def contents(self) -> Contents:
        """The attachments."""
        return Contents(self.ask, self.shelf, "attachment")
