"""In what a direct run is interrupted: a program claims a process by its id, runs it with `run_process`, and writes its
outcome. Where it dies, its lease expires, and a worker takes the process over.

The calls are those of `tenure_driver.direct`, on the world's clock; the registry is behind the world's network.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen

from tenure.asks import Ask
from tenure.direct import Cancellation, HeldLease
from tenure.direct import run_process as run_in_core
from tenure.errors import LeaseLost
from tenure.facets import StoredFacets
from tenure.process import ClaimId, own_session
from tenure.replies import Answer, Claimed, Succeeded, Unavailable, Unknown
from tenure.requests import Claim, Complete, Request
from tenure.sessions import Residency
from tenure.stores import Cursor, DurabilityTier
from tenure.timings import LeaseTimings
from tenure_driver.blocking import BlockingContext
from tenure_driver.deployments import config_of
from tenure_driver.direct import DirectCalls
from tenure_driver.messages import StoreCall
from tenure_testing.crashing.stage import Scene, Stage
from tenure_testing.playing import NO_ANSWER, Host, Observer, pass_time
from tenure_testing.playing.host import FOR_EVER, Life
from tenure_testing.playing.shell import Sending
from tenure_testing.playing.strands import Ended, Strand, current
from tenure_testing.playing.tasks import Park, Sleep, parked

T = TypeVar("T")

TIMINGS = LeaseTimings()
PAUSE = 0.5
"""Seconds until the program asks again what was not answered."""


@frozen(eq=False)
class Wire:
    """A `tenure.stores.ProcessRegistry` for one life of a host without the driver's threads: each call, in a thread of
    the host, is a batch on its way through the world's network."""

    host: Host
    life: Life

    @property
    def tier(self) -> DurabilityTier:
        """The store's."""
        return self.host.world.store.tier

    @property
    def epoch(self) -> int:
        """The store's."""
        return self.host.world.store.epoch

    def facets(self) -> StoredFacets:
        """The store's; as in all played worlds they are reached without the network."""
        return self.host.world.store.facets()

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """Send it, and wait for the answer."""
        host, world = self.host, self.host.world
        calls = [StoreCall(0, request, None) for request in batch]
        self._tell(lambda observer: observer.sending(host, calls))
        sending = Sending(world.next_sending(), host, tuple(batch), host.clock.now())
        fate = world.fate(host, batch)
        sending.copies = len(fate.executes)
        for delay in fate.executes:
            world.call(world.now + delay, partial(world.execute_sent, sending))
        self._tell(lambda observer: observer.sent(host, calls))
        waiting(Sleep(fate.heard))
        answers = sending.answers
        if fate.says is not None or answers is None:
            answers = [fate.says or NO_ANSWER] * len(calls)
        heard = answers
        self._tell(lambda observer: observer.heard(host, calls, heard))
        return heard

    def wait(self, after: Cursor, timeout: float) -> Cursor:
        """A direct run waits for nothing in the store."""
        return after

    def close(self) -> None:
        """The world's."""

    def _tell(self, tell: Callable[[Observer], object]) -> None:
        self.host.world.observed(tell)
        if self.life.over:
            waiting(FOR_EVER)


def waiting(what: Park | Sleep) -> None:
    """In a thread of the host: let the world go on."""
    strand = current()
    assert strand is not None, "what blocks in a played world does so in a strand"
    strand.wait(what)


@frozen(eq=False)
class DirectRun:
    """One life of the program."""

    stage: Stage
    host: Host
    life: Life

    async def run(self, id: str) -> None:
        """Claim the process, run it, complete it. A lease that was lost is somebody else's matter."""
        wire, owner = Wire(self.host, self.life), self.host.new_id()
        claim = Claim(ClaimId(owner, 1), id, TIMINGS.ttl_ms)
        answer = await self._in_strand(partial(_asked, wire, claim))
        if not (isinstance(answer, Succeeded) and isinstance(answer.reply, Claimed) and answer.reply.grants):
            return
        (grant,) = answer.reply.grants
        lease = HeldLease(grant, answer.reply.epoch)
        config = evolve(config_of(wire, self.stage.app), residency=Residency.KEEP_ALL)
        told, registration = Cancellation(), grant.record.registration
        calls = DirectCalls(
            config, registration, lease, told, TIMINGS, self._in_strand, self.host.clock.now, pass_time
        )
        try:
            outcome = await run_in_core(
                config,
                registration,
                ask=partial(self._ask, calls),
                convert=self.life.runner.convert,
                cancellation=told,
                lease=lease,
                for_plain=BlockingContext,
            )
        except LeaseLost:
            return
        finally:
            calls.end()
        self.stage.judge.came_to[grant.fence.token] = outcome
        await self._in_strand(partial(_asked, wire, Complete(grant.fence, outcome)))

    async def _ask(self, calls: DirectCalls, ask: Ask) -> Any:
        self.life.asking(ask)
        await self._gone_on()
        reply = await calls.ask(ask)
        self.life.replied(ask)
        await self._gone_on()
        return reply

    async def _gone_on(self) -> None:
        if self.life.over:
            if current() is not None:
                waiting(FOR_EVER)
            await parked(FOR_EVER)

    async def _in_strand(self, call: Callable[[], T]) -> T:
        strand = Strand(call)
        self.life.strands.append(strand)
        try:
            said = strand.resume()
            while not isinstance(said, Ended):
                said = strand.resume(await parked(said))
        finally:
            self.life.strands.remove(strand)
        if said.error is not None:
            raise said.error
        value: T = said.value
        return value


def _asked(wire: Wire, request: Request) -> Answer:
    """The answer; the same request again where there is none (S18)."""
    while True:
        (answer,) = wire.execute([request])
        if not isinstance(answer, Unavailable | Unknown):
            return answer
        pass_time(PAUSE)


def _program(stage: Stage) -> Callable[[Host], Coroutine[Any, Any, None]]:
    def program(host: Host) -> Coroutine[Any, Any, None]:
        assert host.life is not None
        return DirectRun(stage, host, host.life).run("p")

    return program


# --- the scenes ---------------------------------------------------------------------------------------------------


def _works(stage: Stage) -> None:
    stage.start("work", "p")
    stage.run_directly(_program(stage))


def _takes_notes(stage: Stage) -> None:
    stage.start("notes", "p")
    stage.run_directly(_program(stage))


def _takes_notes_plainly(stage: Stage) -> None:
    stage.start("plain notes", "p", owner="team")
    stage.append("p", "go")
    stage.run_directly(_program(stage))


DIRECT_SCENES = (
    Scene("a direct run", _works),
    Scene("a direct run writes to its session", _takes_notes, sessions=(own_session("p"),)),
    Scene("a direct run of a plain handler", _takes_notes_plainly, sessions=("team",)),
)
