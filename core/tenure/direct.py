"""`run_process`: one process, run directly by whoever calls it (B3-B8), as a coroutine over the injected `ask`.

A worker does the same, under the attempt machine. Called directly, the checks are exceptions, the lease (if any) is the
caller's, and nothing is written at the end: the caller completes the process with the outcome that is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from tenure.asks import Act, Ask, AskFunction, AwaitEvents, CallPlain
from tenure.attempt_rules import NOBODYS_CANCEL
from tenure.attempt_types import Permitted, StopReason
from tenure.canonical import canonical, parsed
from tenure.config import WorkerConfig, of_type
from tenure.context import Context
from tenure.effects import EffectJournal, EffectScope, scope_of
from tenure.errors import (
    BlankProcessId,
    InvalidValue,
    LeaseLost,
    LeaseRequired,
    OwnerScopeMissing,
    ProfileMismatch,
    TierMismatch,
    Unfit,
)
from tenure.fitness import Check, misfit
from tenure.handlers import Run, failure_of
from tenure.instants import Instant, StoreTime
from tenure.kinds import Converter, string
from tenure.limits import DEFAULT_LIMITS
from tenure.plugins import PluginStack
from tenure.process import Cancelled, ClaimId, External, Fence, Outcome, Record, Registration, Success
from tenure.replies import Grant
from tenure.requests import EmitEvent
from tenure.runtime import Runtime
from tenure.sessions import SessionFence
from tenure.stores import DurabilityTier
from tenure.values import changed

FOREVER = Instant((1 << 63) - 1)
"""Until when a run without a lease may act: nobody else can take what nobody holds."""

ERRORS: dict[Check, type[Unfit]] = {
    Check.ID: BlankProcessId,
    Check.PROFILE: ProfileMismatch,
    Check.TIERS: TierMismatch,
    Check.OWNER: OwnerScopeMissing,
}
"""What `run_process` raises for each check of B5 that is not passed."""


def _text(instance: object, attribute: Any, value: object) -> None:
    string(value, f"{type(instance).__name__}.{attribute.name}")


@frozen
class ExecutionContext:
    """What a run knows of its surroundings (B12). `wake`: the session that the caller counts on being told when the
    process ends. The store tells the owner scope, whoever ran the process, so no other can be asked for."""

    wake: str = field(default="", validator=_text)


WAKES_THE_OWNER = ExecutionContext()


@frozen
class HeldLease:
    """The lease that the caller got by Claim, as `Claimed` has it: the grant, and the registry's epoch."""

    grant: Grant = field(validator=of_type(Grant))
    epoch: int = field(validator=of_type(int))


@define(eq=False)
class Cancellation:
    """Cancels one run cooperatively: the handler sees the stop reason `cancel`, and ends as cancelled if it stops for
    it. May be called from any thread, before the run or during it; the first reason stays."""

    _reason: str | None = field(default=None, init=False)
    _told: list[Callable[[StopReason], None]] = field(factory=list[Callable[[StopReason], None]], init=False)

    @property
    def reason(self) -> str | None:
        """None, or the reason of the first request, perhaps empty."""
        return self._reason

    def cancel(self, reason: str = "") -> None:
        """Ask for it. Raises InvalidValue for a reason that is no string."""
        string(reason, "the reason of a cancellation")
        if self._reason is None:
            self._reason = reason
        for told in tuple(self._told):
            told(StopReason.CANCEL)

    def watch(self, told: Callable[[StopReason], None]) -> None:
        """Call `told` once it is asked for, or at once where it was."""
        self._told.append(told)  # before looking: whoever cancels meanwhile either is seen here, or sees this
        if self._reason is not None:
            told(StopReason.CANCEL)


def as_it_is(ctx: Context) -> object:
    """What a plain handler gets where the caller has nothing better: the context itself."""
    return ctx


def passed_over(raised: Exception) -> None:
    """What becomes of what services raise when they are left, where the caller does not want to know."""


async def run_process(
    config: WorkerConfig,
    registration: Registration,
    *,
    ask: AskFunction,
    convert: Converter,
    execution: ExecutionContext = WAKES_THE_OWNER,
    cancellation: Cancellation | None = None,
    effects: EffectScope | None = None,
    lease: HeldLease | None = None,
    plugins: PluginStack | None = None,
    limit: int = DEFAULT_LIMITS.payload,
    for_plain: Callable[[Context], object] = as_it_is,
    not_left: Callable[[Exception], object] = passed_over,
) -> Outcome:
    """Run the process here and return its outcome, which the caller writes, under its lease.

    `effects`: a scope of the caller's own (B4). `lease`: what the caller got by Claim; without one nothing is fenced,
    so the configured effect host must be inline and the handler may emit nothing. `plugins`: an opened stack, whose
    lifespan is the caller's; without one the configured plugins are opened, started and shut down around the run.
    `limit` in bytes of one JSON text; `for_plain` is what a plain handler gets of its context, in its thread.
    However the handler ended, that stands: what its plugins' services raise when they are left is given to `not_left`.

    Raises, in this order: InvalidValue for arguments that do not fit, `execution` among them where it wakes another
    session than the process's owner; EffectHostFailed (B3); BlankProcessId,
    ProfileMismatch, TierMismatch, OwnerScopeMissing (B5, B6); LeaseRequired; PluginFailed, UnknownKind; what
    `tenure.session.open_session` raises, and ServicesFailed (B7); LeaseLost, where the handler has no outcome since
    its lease was lost, or from what the store raised. All else that the handler does is an outcome (B8).
    What a plugin's shut-down raises, where it was opened here, is raised in place of the outcome.
    """
    _check(
        registration,
        lease,
        ("config", config, WorkerConfig, False),
        ("registration", registration, Registration, False),
        ("execution", execution, ExecutionContext, False),
        ("cancellation", cancellation, Cancellation, True),
        ("lease", lease, HeldLease, True),
        ("plugins", plugins, PluginStack, True),
    )
    owner = registration.provenance.owner_scope
    if execution.wake not in ("", owner):
        raise InvalidValue(
            f"the end of process {registration.id!r} is told to its owner {owner!r}, and cannot be told to "
            f"{execution.wake!r}; register the process with that owner"
        )
    scope = effects
    if scope is None:
        scope = await ask(CallPlain(scope_of, (config.runtime.effects, registration.id)))
    elif not callable(getattr(scope, "journal", None)):
        raise InvalidValue(
            f"effects must be an EffectScope or None, with the method 'journal'; it is {scope!r}"
        )
    profile, source = config.runtime.host_profile_id, registration.input
    found = misfit(registration, profile, config.tier_fault, (registration.kind,))
    if found is not None and isinstance(source, External) and found.check is Check.EXTERNAL:
        return Success(canonical({"metadata": parsed(source.metadata)}))
    if found is not None:
        raise ERRORS[found.check](registration.id, found.message)
    if lease is None and config.runtime.effects.tier is DurabilityTier.DURABLE:
        raise LeaseRequired(registration.id, "its effects cannot be kept by an effect host that is durable")
    run = _Direct(
        config,
        registration,
        scope,
        lease,
        cancellation or Cancellation(),
        ask,
        convert,
        limit,
        for_plain,
        not_left,
    )
    if plugins is not None:
        return await run.within(plugins)
    opened = config.plugins.open()
    async with opened.lifespan():
        return await run.within(opened)


def _check(registration: object, lease: HeldLease | None, *fits: tuple[str, object, type[Any], bool]) -> None:
    """`fits`: each argument's name, its value, its type, and whether it may be None."""
    for name, value, kind, optional in fits:
        if not (isinstance(value, kind) or (optional and value is None)):
            also = " or None" if optional else ""
            raise InvalidValue(f"{name} must be of type {kind.__name__}{also}; it is {value!r}")
    if lease is not None and lease.grant.record.registration != registration:
        raise InvalidValue(
            f"the lease is for process {lease.grant.record.id!r} as it is registered, not for what is to be run: "
            f"{registration!r}"
        )


@define(eq=False)
class _Direct:
    """One run, after its checks."""

    config: WorkerConfig
    registration: Registration
    scope: EffectScope
    lease: HeldLease | None
    cancellation: Cancellation
    injected: AskFunction
    convert: Converter
    limit: int
    for_plain: Callable[[Context], object]
    not_left: Callable[[Exception], object]
    lost: list[Exception | None] = field(factory=list[Exception | None])
    """How the lease was lost: what the store raised, or None where it answered."""

    async def within(self, plugins: PluginStack) -> Outcome:
        """Rebuild the session's runtime (B7) and run the handler in it (B8)."""
        kind = plugins.kind(self.registration.kind)
        held = self.lease or _unleased(self.registration)
        flagged = held.grant.record.cancel
        if flagged is not None:
            self.cancellation.cancel(flagged)
        if self.cancellation.reason is not None:  # neither a session nor a start (CONTRACT §4)
            return Cancelled(self.cancellation.reason)
        runtime = await self._rebuilt(held)
        ctx = Context(self.ask, held.grant, held.epoch, self.convert, self.limit, runtime, shapes=kind.shapes)
        self.cancellation.watch(ctx.told_to_stop)
        run = Run(kind, held.grant, self.convert, self.limit)
        ends: list[Outcome | None] = []
        try:
            async with plugins.services(runtime, self.registration.id, self._owner):
                try:
                    ends.append(await self._handled(run, ctx))
                except BaseException:
                    # Before its services are left: a plain handler may go on in its thread, and nobody can stop it.
                    ctx.told_to_stop(StopReason.CANCEL)
                    raise
        except Exception as raised:
            if not ends:
                raise
            self.not_left(raised)
        return ends[-1] or self._stopped()

    async def _rebuilt(self, held: HeldLease) -> Runtime:
        config, token = self.config, held.grant.fence.token
        fence = (
            SessionFence(config.registry_name, self.registration.id, held.epoch, token)
            if self.lease
            else None
        )
        session = await config.session(self.ask, self.convert, self._owner, fence)
        return config.rebuilt(self.ask, session, _Reread(self.scope))

    async def _handled(self, run: Run, ctx: Context) -> Outcome | None:
        """Start the handler, unless its lease was lost meanwhile (S13), or it was cancelled."""
        if await ctx.permitted() is None:
            self.lost.append(None)
            return None
        if ctx.stop_reason is not None:
            return None
        outcome: Outcome | None
        try:
            if run.kind.plain:
                passing = (self.for_plain(ctx), (KeyboardInterrupt,))
                outcome = await self.ask(CallPlain(run.blocking, passing))
            else:
                outcome = await run.awaited(ctx)
        except SystemExit as raised:  # a handler's own, and no reason to end the program that runs it
            return failure_of(raised)
        if self.lease is not None and run.lost_its_lease:
            self.lost.append(None)
        return outcome

    def _stopped(self) -> Outcome:
        """How a run ends whose handler has no outcome of its own (CONTRACT §7). Raises LeaseLost."""
        if self.lost:
            raise LeaseLost(self.registration.id) from self.lost[0]
        if self.cancellation.reason is not None:
            return Cancelled(self.cancellation.reason)
        return NOBODYS_CANCEL

    async def ask(self, ask: Ask) -> Any:
        """What the handler asks. Raises LeaseRequired for what has to be fenced, where there is no lease."""
        if self.lease is None and isinstance(ask, AwaitEvents):
            raise LeaseRequired(self.registration.id, "it has no events to wait for")
        if self.lease is None and isinstance(ask, Act):
            if ask.request is None:
                return Permitted(FOREVER)
            emits = isinstance(ask.request, EmitEvent)
            what = "it may emit no events" if emits else "its effects cannot be recorded"
            raise LeaseRequired(self.registration.id, what)
        try:
            return await self.injected(ask)
        except Exception as trouble:
            if isinstance(ask, CallPlain):
                raise
            self.lost.append(trouble)  # the store's, and no failure of the process (W4)
            raise LeaseLost(self.registration.id) from trouble

    @property
    def _owner(self) -> str:
        return self.registration.provenance.owner_scope


@frozen(eq=False)
class _Reread:
    """A scope whose journals are read before the first effect, also in a process's first attempt: the caller may have
    run it before under the very same lease."""

    scope: EffectScope

    def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
        record = changed(grant.record, claims=max(2, grant.record.claims))
        return self.scope.journal(ask, changed(grant, record=record), epoch)


def _unleased(registration: Registration) -> HeldLease:
    """What stands for the lease of a run that has none: no store ever grants the token 0."""
    record = Record(registration, 0, 0, StoreTime(0), StoreTime(0), claims=1)
    return HeldLease(Grant(Fence(registration.id, ClaimId("", 0), 0), record), 0)
