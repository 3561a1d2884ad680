"""What the tests of effects share: attempts with a scope and attachments of their own, and a small content store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

from tenure.canonical import Json
from tenure.contents import BytesLike, Content, Contents, Intake, Upload
from tenure.context import Context
from tenure.effects import IN_THE_REGISTRY, EffectScope
from tenure.errors import ContentCorrupt, ContentNotFound, FacetMissing, StoreUnavailable
from tenure.runtime import Runtime
from tenure.stores import DurabilityTier
from tests.core.trampoline_asks import EPOCH, World, driven


@define(eq=False)
class Shelf:
    """A store of contents in a dictionary, which gives out whatever is in it. `full`: it takes nothing any more.
    `missing`: the deployment has none, and that shows at its first use."""

    kept: dict[str, tuple[Content, bytes]] = field(factory=dict[str, tuple[Content, bytes]])
    full: bool = False
    missing: bool = False
    tier: DurabilityTier = DurabilityTier.INLINE

    def begin(self) -> Upload:
        """A new upload."""
        if self.missing:
            raise FacetMissing("attachments")
        if self.full:
            raise StoreUnavailable("the shelf is full")
        return _Upload(self)

    def stat(self, content_id: str) -> Content:
        """What is known of it."""
        if self.missing:
            raise FacetMissing("attachments")
        if content_id not in self.kept:
            raise ContentNotFound("attachment", content_id)
        return self.kept[content_id][0]

    def chunks(self, content_id: str) -> Iterator[bytes]:
        """All of it, as it is."""
        content, body = self.kept[content_id]
        if not body:
            raise ContentCorrupt("attachment", content.id, "it is empty")
        yield body

    def close(self) -> None:
        """Nothing."""


class _Upload(Upload):
    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._intake, self._body = shelf, Intake("attachment"), b""

    def write(self, chunk: BytesLike) -> None:
        self._body += b"".join(part.body for part in self._intake.feed(chunk))

    def commit(self, name: str, media_type: str) -> Content:
        self._body += b"".join(part.body for part in self._intake.last())
        content = self._intake.content(name, media_type)
        self._shelf.kept[content.id] = (content, self._body)
        return content

    def abort(self) -> None:
        """Nothing was kept."""

    def abandon(self) -> None:
        """Nothing was kept."""


def attempt(world: World, scope: EffectScope = IN_THE_REGISTRY, shelf: Shelf | None = None) -> Context:
    """The context of a new attempt, whose effects are kept there; with attachments, where there is a shelf."""
    contents = Contents(world.ask, shelf, "attachment") if shelf else None
    runtime = Runtime(None, contents, None, scope)
    return Context(world.ask, world.claim(), EPOCH, world.convert, world.state.limits.payload, runtime)


def effect(ctx: Context, key: str, fn: Callable[..., Any], *args: Any) -> Any:
    """What the effect gives."""
    return driven(ctx.effect(key, fn, *args))


def journal(world: World) -> dict[str, Json]:
    """What is recorded, by key."""
    return {one.key: one.result for one in world.state.effects}
