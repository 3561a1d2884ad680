"""Any registry against the reference model, driven by Hypothesis: `RegistryMachine`.

A subclass says how its stores are opened, and gives them to pytest:

    class MyStores(RegistryMachine):
        def open_stores(self, clock):
            return {"mine": MyStore(clock=clock, limits=self.limits)}

    TestMyStores = MyStores.TestCase

Each step is one batch that every store and the model execute at the same store time, which the machine moves forward
and back. After every step all hold the same rows, logs, effects and counters, and each transition of the model is
judged by S2-S11, S16, S17, S19-S23 (`tenure_testing.stateful.judge`). A failure is a short list of steps, and names
the properties that it breaks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.process import ClaimId, Fence
from tenure.replies import Answer, Claimed, Succeeded
from tenure.requests import Claim, ClaimNext, FencedRequest, Request
from tenure.stores import ProcessRegistry
from tenure_testing.registry_world import ManualClock
from tenure_testing.stateful.alphabet import (
    LETTERS,
    NAMES,
    OWNERS,
    TIGHT,
    Act,
    Claiming,
    Under,
    bent,
    last_fence,
    newest_fence,
    under,
)
from tenure_testing.stateful.lockstep import Lockstep

KINDS_OF_BEND = 7
T = TypeVar("T")


def drawn(letters: Sequence[T]) -> st.SearchStrategy[T]:
    """One of the letters, which shrinks to the first. (`sampled_from` would print them all where it is printed.)"""
    return st.integers(0, len(letters) - 1).map(lambda place: letters[place])


@frozen
class Granted:
    """A claim that granted rows, and the fences that it answered."""

    request: ClaimNext | Claim
    fences: tuple[Fence, ...]


class RegistryMachine(RuleBasedStateMachine):
    """Subclass it, and say what `open_stores` opens. `limits` are those that the stores must be opened with.

    `strict` compares also what the contract leaves open: fence logs and cursors, which are then the same in all stores.
    `tally` counts, for the subclass, each kind of request with each kind of answer: what never came was never tested.
    """

    limits: ClassVar[Limits] = TIGHT
    strict: ClassVar[bool] = False
    tally: ClassVar[Counter[str]] = Counter()

    granted: Bundle[Granted] = Bundle("granted")
    asked: Bundle[Request] = Bundle("asked")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.tally = Counter()

    # --- what a subclass says -------------------------------------------------------------------------------------

    @abstractmethod
    def open_stores(self, clock: ManualClock) -> dict[str, ProcessRegistry]:
        """New, empty stores by their names, which read `clock` and have the limits `self.limits`."""

    def reopen(self, name: str, store: ProcessRegistry, clock: ManualClock) -> ProcessRegistry | None:
        """The same store, opened anew after a crash of its program; None, where it does not outlive its program."""
        return None

    def break_off(self, name: str, store: ProcessRegistry, requests: list[Request]) -> None:
        """Have a batch of these requests fail half-way, so that none is applied; nothing, where that cannot be done."""

    def close_store(self, name: str, store: ProcessRegistry) -> None:
        """Let go of a store at the end of an example."""
        store.close()

    # --- steps ----------------------------------------------------------------------------------------------------

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(1_000 * self.limits.takeover_wait)
        self.stores = self.open_stores(self.clock)
        self.lockstep = Lockstep(self.stores, self.clock, self.limits, OWNERS, self.strict, self.tally)
        self.last: dict[str, int] = {}

    @initialize()
    def two_processes(self) -> None:
        self.lockstep.ask(*LETTERS.beginning)

    @rule(target=asked, request=drawn(LETTERS.plain))
    def register(self, request: Request) -> Request:
        return self._one(request)

    @rule()
    def start_over(self) -> None:
        """What ended is pruned, and registered anew under its id: a row like it, which is another (S2, K20)."""
        self._pruned_and_registered(LETTERS.beginning)

    @rule(target=granted, act=drawn(LETTERS.single_claims))
    def claim_one(self, act: Claiming) -> MultipleResults[Granted]:
        return self._claim(act)

    @rule(target=granted, act=drawn(LETTERS.plain_claims))
    def claim_next(self, act: Claiming) -> MultipleResults[Granted]:
        """Of whatever is claimable, a new claim: alone, so that a store which chooses otherwise is judged by that."""
        return self._claim(act)

    @rule(target=granted, act=drawn(LETTERS.plain_claims))
    def claim_a_backlog(self, act: Claiming) -> MultipleResults[Granted]:
        """Of several rows at once, which became ready in another order than that of their registration."""
        self._pruned_and_registered(LETTERS.backlog)
        self.clock.now += LETTERS.deltas[2]
        return self._claim(act)

    @rule(target=asked, of=st.sampled_from(NAMES), write=drawn(LETTERS.writes))
    def write(self, of: str, write: FencedRequest) -> Request:
        return self._one(under(last_fence(self.lockstep.model, of), write))

    @rule(target=asked, write=drawn(LETTERS.writes))
    def write_as_holder(self, write: FencedRequest) -> Request:
        """Under the newest lease of all, which is likely to be alive."""
        return self._one(under(newest_fence(self.lockstep.model), write))

    @rule(claim=granted, place=st.integers(0, 2), write=drawn(LETTERS.writes))
    def write_late(self, claim: Granted, place: int, write: FencedRequest) -> None:
        """Under a fence that was answered once, and may long be superseded."""
        self._one(under(claim.fences[place % len(claim.fences)], write))

    @rule(claim=granted, bend=st.integers(0, KINDS_OF_BEND - 1), write=drawn(LETTERS.writes))
    def forge(self, claim: Granted, bend: int, write: FencedRequest) -> None:
        """Under a fence that nobody ever had."""
        self._one(under(bent(claim.fences[0])[bend], write))

    @rule(claim=granted)
    def claim_again(self, claim: Granted) -> None:
        """The same claim, as long as the registry has to know it."""
        if claim.request.claim.n > self._forgotten(claim.request.claim.owner):
            self._one(claim.request)

    @rule(request=asked)
    def repeat(self, request: Request) -> None:
        """The reply was lost, or the request was doubled on its way."""
        self._one(request)

    @rule(target=asked, request=drawn(LETTERS.clients))
    def append(self, request: Request) -> Request:
        return self._one(request)

    @rule(act=drawn(LETTERS.oddities))
    def ask_what_is_odd(self, act: Act) -> None:
        """What no store may take: names and texts that are unfit, bodies that are too large, and the like."""
        self._one(self._request(act, self.last))

    @rule(target=asked, request=drawn(LETTERS.cancels))
    def cancel(self, request: Request) -> Request:
        return self._one(request)

    @rule(request=drawn(LETTERS.prunes))
    def prune(self, request: Request) -> None:
        self._one(request)

    @rule(request=drawn(LETTERS.reads))
    def read(self, request: Request) -> None:
        self._one(request)

    @rule(acts=st.lists(drawn(LETTERS.acts), min_size=2, max_size=5))
    def batch(self, acts: list[Act]) -> None:
        self.lockstep.ask(*self._requests(acts))

    @rule(by=drawn(LETTERS.deltas))
    def pass_time(self, by: int) -> None:
        """The store's clock moves, back too (C1)."""
        self.clock.now += by

    @rule(before=st.sampled_from((0, 0, 1)))
    def wait_for_an_expiry(self, before: int) -> None:
        """The clock moves to the very moment at which the next lease ends, or to just before it (K18)."""
        self._at_an_expiry(before)

    @rule(target=asked, before=st.sampled_from((0, 0, 1)), write=drawn(LETTERS.writes))
    def write_at_an_expiry(self, before: int, write: FencedRequest) -> Request:
        """And its holder writes in that moment."""
        return self._one(under(last_fence(self.lockstep.model, self._at_an_expiry(before)), write))

    @rule(acts=st.lists(drawn(LETTERS.acts), min_size=1, max_size=3))
    def break_a_batch(self, acts: list[Act]) -> None:
        """A batch that fails half-way changes nothing (CONTRACT §5)."""
        for name, store in self.stores.items():
            self.break_off(name, store, [self._request(act, dict(self.last)) for act in acts])
        self.lockstep.unchecked()

    @rule()
    def crash(self) -> None:
        """What was answered is in what a crash leaves (S21)."""
        for name, store in list(self.stores.items()):
            opened = self.reopen(name, store, self.clock)
            if opened is not None:
                self.lockstep.replace(name, opened)

    # --- after every step -----------------------------------------------------------------------------------------

    @invariant()
    def all_hold_the_same(self) -> None:
        """S1, in one thread: rows, logs, effects, counters, endings and cancellations."""
        self.lockstep.check()

    def teardown(self) -> None:
        for name, store in self.stores.items():
            self.close_store(name, store)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _one(self, request: Request) -> Request:
        self.lockstep.ask(request)
        return request

    def _pruned_and_registered(self, rows: Sequence[Request]) -> None:
        self.clock.now += LETTERS.deltas[-2]
        self._one(LETTERS.prunes[1])
        self.lockstep.ask(*rows)

    def _claim(self, act: Claiming) -> MultipleResults[Granted]:
        request = self._request(act, self.last)
        assert isinstance(request, ClaimNext | Claim)
        (answer,) = self.lockstep.ask(request)
        fences = _fences_in(answer)
        return multiple(Granted(request, fences)) if fences else multiple()

    def _at_an_expiry(self, before: int) -> str:
        """Whose lease ends next, or ended last, now that the clock is there."""
        ends = {row.expires_at: row.id for row in self.lockstep.model.records if row.held}
        end = min((end for end in ends if end > self.clock.now), default=max(ends, default=StoreTime(0)))
        self.clock.now = max(self.clock.now, end - before)
        return ends.get(end, NAMES[0])

    def _forgotten(self, owner: str) -> int:
        return self.lockstep.judge.forgotten.get(owner, 0)

    def _requests(self, acts: list[Act]) -> list[Request]:
        return [self._request(act, self.last) for act in acts]

    def _request(self, act: Act, last: dict[str, int]) -> Request:
        """The act as a request, now that there is something to refer to; `last` has each owner's last claim."""
        match act:
            case Under():
                return under(last_fence(self.lockstep.model, act.process_id), act.write)
            case Claiming():
                known = last.get(act.owner, 0)
                n = max(1, known + act.step)
                claim = ClaimId(act.owner, n if n > self._forgotten(act.owner) else known + 1)
                last[act.owner] = max(known, claim.n)
                if isinstance(act.wanted, str):
                    return Claim(claim, act.wanted, act.ttl)
                return ClaimNext(claim, act.ttl, act.limit, act.wanted)
            case _:
                return act


def _fences_in(answer: Answer) -> tuple[Fence, ...]:
    reply = answer.reply if isinstance(answer, Succeeded) else None
    return tuple(grant.fence for grant in reply.grants) if isinstance(reply, Claimed) else ()
