"""What a worker rebuilds around a process before its handler starts (B7): the session of its owner, and the services
of its plugins. One task of the loop does it and then runs the handler, so that services may have nurseries."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from tenure.asks import Ask, AskFunction, CallPlain
from tenure.attempt_types import OpenSession, StartHandler
from tenure.client import Client
from tenure.config import WorkerConfig
from tenure.effects import IN_THE_REGISTRY, EffectScope, InlineEffects, RegistryEffects, scope_of
from tenure.kinds import Converter
from tenure.plugins import PluginStack
from tenure.process import Outcome
from tenure.runtime import Runtime
from tenure.session import FOR_GOOD, Session
from tenure.sessions import SessionFence
from tenure_driver.bodies import handler_of
from tenure_driver.deployments import has_facets
from tenure_driver.jobs import Job
from tenure_driver.messages import Opened, OpeningFault
from tenure_driver.openings import Opens

log = logging.getLogger("tenure")
NOT_LEFT = "process %r: its services could not be left in order: %r"
"""Logged as a warning, with the process and what they raised."""


@frozen
class AwaitStart:
    """An ask for the runner itself: the reply is the Job of that token, or None where the attempt ended before."""

    token: int


class Loopside(Protocol):
    """What a rebuild needs of its loop."""

    async def ask(self, ask: Ask | AwaitStart) -> Any:
        """As `Loop.ask`."""


def _looked_up(around: Surroundings) -> bool:
    """Once: looking takes longer than starting a handler."""
    return has_facets(around.config)


@frozen(eq=False)
class Surroundings:
    """How one worker's processes are rebuilt: its configuration, its plugins, and what converts values.
    `has_facets`: whether there are sessions and contents at all."""

    config: WorkerConfig
    plugins: PluginStack
    convert: Converter
    has_facets: bool = field(default=Factory(_looked_up, takes_self=True), init=False)
    _bare: dict[AskFunction, Runtime] = field(factory=dict[AskFunction, Runtime], init=False)

    def opens(self) -> Opens:
        """Which processes need a rebuild before their handlers start."""
        ours = isinstance(self.config.runtime.effects, RegistryEffects | InlineEffects)
        if not ours or any(plugin.services is not None for plugin in self.plugins.plugins):
            return Opens.ALL
        return Opens.OWNERS if self.has_facets else Opens.NONE

    def fence(self, process_id: str, epoch: int, token: int) -> SessionFence:
        """What the writes of that attempt carry."""
        return SessionFence(self.config.registry_name, process_id, epoch, token)

    async def session(self, ask: AskFunction, session_id: str, fence: SessionFence | None = None) -> Session:
        """Open it, under the lease of an attempt or as a client; raises as `open_session` does."""
        return await self.config.session(ask, self.convert, session_id, fence)

    def client(self, ask: AskFunction, new_id: Callable[[], str], limit: int) -> Client:
        """A client whose calls go through `ask`; `limit` in bytes of one JSON text."""
        around = self.runtime(ask, None, IN_THE_REGISTRY)
        return Client(
            ask,
            self.convert,
            new_id,
            partial(self.session, ask) if self.has_facets else None,
            around.attachments,
            around.artifacts,
            limit=limit,
        )

    def runtime(self, ask: AskFunction, session: Session | None, scope: EffectScope) -> Runtime:
        """What is around a process whose session, if it is open, this is."""
        if self.has_facets:
            return self.config.rebuilt(ask, session, scope)
        return Runtime(session, None, None, scope)

    def started(self, ask: AskFunction, rebuild: Rebuild | None) -> Runtime:
        """What the handler gets, which asks by `ask`. What was not rebuilt has nothing of its process's own, and is
        the same for all."""
        rebuilt = rebuild.runtime if rebuild is not None else None
        if rebuild is not None and rebuilt is not None:
            if ask == rebuild.loop.ask:
                return rebuilt
            session = rebuilt.session.over(ask) if rebuilt.session is not None else None
            return self.runtime(ask, session, rebuilt.effects)
        bare = self._bare.get(ask)
        if bare is None:  # the hosts that tenure brings have one scope for everybody
            scope = scope_of(self.config.runtime.effects, "")
            bare = self._bare[ask] = self.runtime(ask, None, scope)
        return bare

    async def own_session(self, ask: AskFunction, start: StartHandler) -> Session:
        """The session of a process that is about to use it, under the lease of its attempt."""
        grant = start.grant
        return await self.session(
            ask, start.wake, self.fence(grant.record.id, start.epoch, grant.fence.token)
        )


def _as_it_is(job: Job) -> Job:
    return job


def _interrupts(fault: BaseException) -> bool:
    """Whether it is Ctrl-C, alone or among what a nursery of the services gathered."""
    return BaseExceptionGroup("", [fault]).subgroup(KeyboardInterrupt) is not None


@define(eq=False)
class Rebuild:
    """One attempt in the loop, from its OpenSession on. `tell` posts to the driver; `job` is what it runs, once its
    handler starts, as `seen` makes it.

    `over`: the attempt ended before that. `handled`: the handler has ended, as `ended` says; `stopped`: it was told to,
    and this is the cancellation that did it."""

    command: OpenSession
    surroundings: Surroundings
    loop: Loopside
    tell: Callable[[Opened], None]
    runtime: Runtime | None = None
    seen: Callable[[Job], Job] = _as_it_is
    job: Job | None = None
    over: bool = False
    handled: bool = False
    ended: Outcome | None = None
    stopped: BaseException | None = None

    @property
    def token(self) -> int:
        """The attempt's."""
        return self.command.token

    @property
    def name(self) -> str:
        """The process id."""
        return self.command.process_id

    async def outcome(
        self, in_thread: Callable[[Callable[[], Outcome | None]], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """Rebuild, wait for the start, run the handler. None: it never started, or was stopped.

        How the handler ended stands, whatever its plugins' services raise when they are left (CONTRACT §7)."""
        around, opened = self.surroundings, False
        if self.over:
            return None
        try:
            self.runtime = await self._rebuilt()
            async with around.plugins.services(self.runtime, self.name, self.command.owner_scope):
                opened = True
                await self._handled(in_thread)
        except BaseException as fault:
            if not opened:
                self._unopened(fault)
                return None
            if not self.handled and self.stopped is None:
                raise
            if _interrupts(fault):  # the operator's, whatever else is under way
                raise KeyboardInterrupt from fault
            if fault is not self.stopped:
                log.warning(NOT_LEFT, self.name, fault)
            if self.stopped is not None:
                raise self.stopped from None
        return self.ended

    async def _handled(
        self, in_thread: Callable[[Callable[[], Outcome | None]], Awaitable[Outcome | None]]
    ) -> None:
        if self.over:  # said while it was being rebuilt
            return
        self.tell(Opened(self.command.id))
        job: Job | None = await self.loop.ask(AwaitStart(self.token))
        if job is None:
            return
        handler_of.set((job.token, job.ctx))
        self.job = self.seen(job)
        try:
            self.ended = await self.job.outcome(in_thread)
            self.handled = True
        except BaseException as stopped:
            if job.ctx.stop_reason is not None:
                self.stopped = stopped
            raise

    def _unopened(self, fault: BaseException) -> None:
        """Nothing has started. What is no Exception is a cancellation: by the machine, which knows, or by whoever ends
        the loop."""
        if isinstance(fault, Exception):
            self.tell(Opened(self.command.id, OpeningFault(isinstance(fault, FOR_GOOD), str(fault))))
            return
        said = f"the opening of session {self.command.owner_scope!r} was cancelled"
        self.tell(Opened(self.command.id, OpeningFault(False, said)))
        raise fault

    async def _rebuilt(self) -> Runtime:
        around, command, ask = self.surroundings, self.command, self.loop.ask
        scope = await ask(CallPlain(scope_of, (around.config.runtime.effects, self.name)))
        session = None
        if around.has_facets:
            fence = around.fence(self.name, command.epoch, command.token)
            session = await around.session(ask, command.owner_scope, fence)
        return around.runtime(ask, session, scope)
