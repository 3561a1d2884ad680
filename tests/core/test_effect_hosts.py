"""Where effects are kept: in the registry, nowhere, or in a store of the deployment's own (B3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from tenure.asks import AskFunction, CallPlain, Submit
from tenure.canonical import Json
from tenure.effects import (
    IN_THE_REGISTRY,
    EffectHost,
    EffectJournal,
    EffectScope,
    InlineEffects,
    RegistryEffects,
    fingerprint_of,
    scope_of,
)
from tenure.errors import (
    EffectFailed,
    EffectHostFailed,
    EffectKeyReused,
    EffectMismatch,
    LeaseLost,
    NotJson,
)
from tenure.process import Effect
from tenure.replies import Grant
from tenure.requests import ReadEffects
from tenure.stores import DurabilityTier
from tests.core.effect_worlds import attempt, effect, journal
from tests.core.trampoline_asks import EPOCH, called, started


def twice(n: int) -> int:
    return 2 * n


# --- the two that tenure brings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", DurabilityTier)
def test_the_registrys_host_has_the_tier_of_the_registry_and_one_scope_for_all(tier: DurabilityTier) -> None:
    host: EffectHost = RegistryEffects(tier)
    assert host.tier is tier
    assert scope_of(host, "p") is scope_of(host, "q") is IN_THE_REGISTRY


def test_a_context_keeps_effects_in_the_registry_unless_told_otherwise() -> None:
    world, log = started(), list[Any]()
    assert effect(world.context(), "k", called(log, 1)) == 1
    assert (
        effect(attempt(world, scope_of(RegistryEffects(DurabilityTier.INLINE), "p")), "k", called(log, 2))
        == 1
    )
    assert journal(world) == {"k": "1"}


def test_the_inline_host_keeps_nothing() -> None:
    host: EffectHost = InlineEffects()
    assert host.tier is DurabilityTier.INLINE
    world, log = started(), list[Any]()
    for value in (1, 2):
        assert effect(attempt(world, scope_of(host, "p")), "k", called(log, value)) == value
    assert log == [(), ()]
    assert journal(world) == {}
    assert not any(isinstance(ask, Submit) and isinstance(ask.request, ReadEffects) for ask in world.asked)


def test_the_inline_host_is_as_strict_as_any() -> None:
    """So that what is tried without a store behaves as it will with one."""
    world = started()
    ctx = attempt(world, scope_of(InlineEffects(), "p"))
    effect(ctx, "k", twice, 1)
    with pytest.raises(EffectKeyReused):
        effect(ctx, "k", twice, 1)
    with pytest.raises(NotJson, match="the result of effect 'set' of process 'p' is not JSON"):
        effect(ctx, "set", called([], {1}))
    with pytest.raises(EffectFailed, match="effect 'zero' of process 'p' failed: ZeroDivisionError"):
        effect(ctx, "zero", lambda: 1 // 0)
    world.lost.add(ctx.fencing_token.token)
    with pytest.raises(LeaseLost):
        effect(ctx, "late", twice, 1)


# --- one that gives no scope --------------------------------------------------------------------------------------


@define
class Host:
    """A host of the deployment's: gives whatever it has, or raises it."""

    gives: Any
    asked: list[str] = field(factory=list[str])
    tier: DurabilityTier = DurabilityTier.DURABLE

    def scope(self, process_id: str) -> EffectScope | None:
        """What it has."""
        self.asked.append(process_id)
        if isinstance(self.gives, BaseException):
            raise self.gives
        scope: EffectScope | None = self.gives
        return scope


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        (None, "it returned None, which is no EffectScope"),
        ("a scope", "it returned 'a scope', which is no EffectScope"),
        (ConnectionError("no route"), "it raised ConnectionError: no route"),
        (Unprintable(), "it raised Unprintable: (its message could not be made)"),
    ],
)
def test_a_host_that_fails_or_gives_no_scope_is_an_error_that_says_so(gives: Any, why: str) -> None:
    host = Host(gives)
    with pytest.raises(EffectHostFailed) as failed:
        scope_of(host, "p")
    assert failed.value.process_id == "p"
    assert str(failed.value) == f"the effect host gave process 'p' no scope for its effects: {why}"
    assert failed.value.__cause__ is (gives if isinstance(gives, Exception) else None)
    assert host.asked == ["p"]


def test_a_host_that_is_interrupted_is_no_failure_of_the_hosts() -> None:
    with pytest.raises(KeyboardInterrupt):
        scope_of(Host(KeyboardInterrupt()), "p")


# --- one of a user's ----------------------------------------------------------------------------------------------


@define
class Ledger:
    """Effects in a dictionary, fenced by (epoch, token): all that a host of one's own has to be."""

    kept: dict[str, Effect] = field(factory=dict[str, Effect])
    newest: tuple[int, int] = (0, 0)
    reads: int = 0
    journals: int = 0

    def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
        """The journal of one attempt."""
        self.journals += 1
        return LedgerJournal(self, ask, grant.record.id, (epoch, grant.fence.token))


@define
class LedgerJournal:
    """One attempt's."""

    ledger: Ledger
    ask: AskFunction
    process_id: str
    token: tuple[int, int]

    async def recorded(self) -> Mapping[str, Effect]:
        """All there is; reading raises the watermark."""
        self.ledger.reads += 1
        self.ledger.newest = max(self.ledger.newest, self.token)
        return dict(self.ledger.kept)

    async def record(self, key: str, fingerprint: str, result: Json) -> Json:
        """The first writer wins, where the call may block."""
        if self.token < self.ledger.newest:
            raise LeaseLost(self.process_id)
        effect = Effect(self.process_id, key, fingerprint, result, self.token[1])
        stored: Effect = await self.ask(CallPlain(self.ledger.kept.setdefault, (key, effect)))
        return stored.result


def test_a_scope_of_ones_own_keeps_effects_and_the_registry_does_not() -> None:
    world, ledger, log = started(), Ledger(), list[Any]()
    first = attempt(world, ledger)
    assert effect(first, "k", called(log, 1), "a") == 1
    assert effect(first, "l", called(log, 2)) == 2
    again = attempt(world, ledger)
    assert effect(again, "k", called(log, 3), "a") == 1
    assert effect(again, "l", called(log, 4)) == 2
    assert log == [("a",), ()]
    token = first.fencing_token.token
    print_of = fingerprint_of(called(log, 1), ("a",))
    assert ledger.kept["k"] == Effect("p", "k", print_of, Json("1"), token)
    assert ledger.newest == (EPOCH, again.fencing_token.token)
    assert journal(world) == {}


def test_a_journal_is_made_once_an_attempt_and_read_once() -> None:
    """By the first effect; an attempt without effects costs nothing."""
    world, ledger = started(), Ledger()
    ctx = attempt(world, ledger)
    assert (ledger.journals, ledger.reads) == (0, 0)
    for n in range(5):
        effect(ctx, f"k{n}", twice, n)
    assert (ledger.journals, ledger.reads) == (1, 1)
    with pytest.raises(NotJson):
        effect(ctx, "set", called([], {1}))
    effect(ctx, "more", twice, 1)
    assert (ledger.journals, ledger.reads) == (1, 2), "read again after a call that was cut short"


def test_a_scope_of_ones_own_is_held_to_the_same_rules() -> None:
    world, ledger = started(), Ledger()
    zombie, holder = attempt(world, ledger), attempt(world, ledger)
    effect(zombie, "a", twice, 1)
    effect(holder, "b", twice, 2)
    with pytest.raises(EffectMismatch, match="effect 'b' was recorded for"):
        effect(attempt(world, ledger), "b", twice, 3)
    world.lost.clear()
    journal_of_zombie = LedgerJournal(ledger, world.ask, "p", (EPOCH, zombie.fencing_token.token))
    with pytest.raises(LeaseLost), pytest.raises(StopIteration):
        journal_of_zombie.record("c", "f", Json("1")).send(None)


def test_what_a_journal_raises_the_handler_gets_and_the_effect_may_be_repeated() -> None:
    class Failing(Ledger):
        broken = True

        def journal(self, ask: AskFunction, grant: Grant, epoch: int) -> EffectJournal:
            if self.broken:
                raise ConnectionError("no route")
            return super().journal(ask, grant, epoch)

    world, scope = started(), Failing()
    ctx = attempt(world, scope)
    with pytest.raises(ConnectionError, match="no route"):
        effect(ctx, "k", twice, 1)
    scope.broken = False
    assert effect(ctx, "k", twice, 1) == 2
