"""A deployment for direct runs: stores in memory that state the tier they are told to, a registry whose clock moves by
hand, and the `ask` of a caller that has claimed its process."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from attrs import define, field, frozen

from tenure.app import App
from tenure.asks import Act, Ask, AwaitEnd, AwaitEvents, CallPlain, Submit
from tenure.attempt_types import Permitted
from tenure.config import RuntimeHost, WorkerConfig
from tenure.direct import HeldLease, run_process
from tenure.effects import EffectHost, InlineEffects
from tenure.instants import Instant, StoreTime
from tenure.limits import Limits
from tenure.plugins import PluginFactory
from tenure.process import ClaimId, Outcome, Provenance, Registration, Work
from tenure.replies import Answer, Claimed, Fenced, Got, Succeeded
from tenure.requests import Claim, Get, Register, Renew, Request
from tenure.stores import DurabilityTier
from tenure_memory import MemoryContents, MemoryRegistry, MemorySessions
from tests.core.trampoline_asks import LIMIT, TTL, Typed, driven, pause

STORES = ("attachments", "artifacts", "sessions", "registry")
JOB = Registration("p", Work("job"), ("progress",), Provenance("the session"))


@frozen(eq=False, repr=False)
class Kept:
    """A store that says another tier of itself than it has: how durable it is, nothing here depends on."""

    tier: Any
    store: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "store"), name)

    def __repr__(self) -> str:
        return "the store"


def app(name: str = "app", handler: Any = None) -> App:
    """An application that handles the kind `job`."""
    made = App(name)
    made.process("job", emits=["progress"])(handler or (lambda ctx: None))
    return made


def done(ctx: Any) -> str:
    """A plain handler."""
    return "done"


def never(ctx: Any) -> None:
    """A handler that must not start."""
    raise AssertionError


@define(eq=False)
class DirectWorld:
    """`trouble`: the next answers to what is asked under the lease. `asked`: everything that was asked, in order."""

    host: RuntimeHost
    sessions: Any
    registry: Any
    memory: MemorySessions
    clock: list[int]
    lease: HeldLease | None = None
    trouble: deque[Answer] = field(factory=deque[Answer])
    asked: list[Ask] = field(factory=list[Ask])

    @classmethod
    def new(
        cls, *, effects: EffectHost | None = None, profile: str = "", **tiers: DurabilityTier
    ) -> DirectWorld:
        """Stores of these tiers; those that are not named are inline."""
        clock = [1_000]
        memory = MemorySessions(clock=lambda: StoreTime(clock[0]))
        stores = (
            MemoryContents("attachment"),
            MemoryContents("artifact"),
            memory,
            MemoryRegistry(lambda: StoreTime(clock[0]), Limits(payload=LIMIT)),
        )
        kept = [
            Kept(tiers.get(name, DurabilityTier.INLINE), store)
            for name, store in zip(STORES, stores, strict=True)
        ]
        attachments, artifacts, sessions, registry = cast("list[Any]", kept)
        host = RuntimeHost(effects or InlineEffects(), attachments, artifacts, profile)
        return cls(host, sessions, registry, memory, clock)

    @property
    def attachments(self) -> Any:
        return self.host.attachments

    @property
    def artifacts(self) -> Any:
        return self.host.artifacts

    def config(self, *factories: PluginFactory, **rest: Any) -> WorkerConfig:
        """The configuration; without factories it handles the kind `job`."""
        given: Any = {"runtime": self.host, "sessions": self.sessions, "registry": self.registry} | rest
        return WorkerConfig.from_factories(*(factories or (app,)), **given)

    def answer(self, request: Request) -> Any:
        """The registry's answer."""
        (answer,) = self.registry.execute([request])
        return answer

    def claimed(self, registration: Registration = JOB, n: int = 1) -> HeldLease:
        """The lease of the process, which is registered if it is not there yet."""
        self.answer(Register(registration))
        answer = self.answer(Claim(ClaimId("me", n), registration.id, TTL))
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        self.lease = HeldLease(answer.reply.grants[0], answer.reply.epoch)
        return self.lease

    def record(self, process_id: str = "p") -> Any:
        """The row."""
        answer = self.answer(Get(process_id))
        assert isinstance(answer.reply, Got)
        return answer.reply.record

    async def ask(self, ask: Ask) -> Any:
        """What a driver does for a direct run."""
        self.asked.append(ask)
        await pause()
        match ask:
            case Submit():
                return self.answer(ask.request)
            case CallPlain():
                return ask.called()
            case Act():
                return self._acted(ask)
            case AwaitEnd() | AwaitEvents():
                raise AssertionError(ask)

    def _acted(self, act: Act) -> Any:
        assert self.lease is not None
        assert act.token == self.lease.grant.fence.token
        if self.trouble:
            return self.trouble.popleft()
        if act.request is not None:
            return self.answer(act.request)
        answer = self.answer(Renew(self.lease.grant.fence, TTL))
        return Permitted(Instant(1)) if isinstance(answer, Succeeded) else Fenced()

    def run(self, handler: Any = None, registration: Registration = JOB, **how: Any) -> Outcome:
        """Run the process, by that handler of kind `job`."""
        given: Any = {"limit": LIMIT} | how
        config = given.pop("config", None) or self.config(lambda: app("app", handler))
        return driven(run_process(config, registration, ask=self.ask, convert=Typed(), **given))
