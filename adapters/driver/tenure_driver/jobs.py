"""One handler to run, and the last look before it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from tenure.context import Context
from tenure.handlers import Run
from tenure.instants import Instant
from tenure.process import Outcome
from tenure_driver.blocking import BlockingContext
from tenure_driver.driving import driven


@frozen(eq=False)
class Job:
    """One handler to run: in the loop by `run.awaited(ctx)`, or, where it is plain, in a thread by `blocking`."""

    token: int
    run: Run
    ctx: Context
    not_after: Instant
    clock: Callable[[], Instant]

    @property
    def name(self) -> str:
        """The process id."""
        return self.ctx.id

    @property
    def plain(self) -> bool:
        """Whether the handler is a plain function."""
        return self.run.kind.plain

    async def may_start(self) -> bool:
        """Looked at right before the handler starts (S13): it was not told to stop, and its budget is not spent. The
        lease may have been renewed while the start waited, so the machine is asked where a budget is over; and the
        loop may have stood still while the answer was on its way, so both are looked at again after it."""
        until: Instant | None = self.not_after
        while until is not None and self.ctx.stop_reason is None:
            if self.clock() < until:
                return True
            until = await self.ctx.permitted()
        return False

    def blocking(self) -> Outcome | None:
        """Run the plain handler in this thread."""
        return self.run.blocking(BlockingContext(self.ctx)) if driven(self.may_start()) else None

    async def outcome(
        self, in_thread: Callable[[Callable[[], Outcome | None]], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """Run the handler here, or have a plain one run by `in_thread`. None: it was stopped."""
        if self.plain:
            return await in_thread(self.blocking)
        return await self.run.awaited(self.ctx) if await self.may_start() else None
