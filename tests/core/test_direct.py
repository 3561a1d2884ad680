"""run_process: B3's scope, B4's, B5's checks in their order, each with an error of its own, and B6."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from attrs import evolve

from tenure.asks import CallPlain
from tenure.canonical import Json, canonical
from tenure.direct import Cancellation, ExecutionContext, HeldLease
from tenure.effects import EffectScope, InlineEffects, RegistryEffects, scope_of
from tenure.errors import (
    BlankProcessId,
    EffectHostFailed,
    InvalidValue,
    LeaseRequired,
    OwnerScopeMissing,
    ProfileMismatch,
    TenureError,
    TierMismatch,
    Unfit,
    UnknownKind,
)
from tenure.process import (
    External,
    Outcome,
    Provenance,
    Registration,
    Success,
    Work,
)
from tenure.stores import DurabilityTier
from tests.core.direct_world import JOB, STORES, DirectWorld, Kept, done

DURABLE, INLINE = DurabilityTier.DURABLE, DurabilityTier.INLINE
EXTERNAL = Registration("p", External(canonical({"by": "hand"})))
DONE = Success(canonical("done"))


class Host:
    """An effect host that fails, or gives what it is told to; `asked` for whom."""

    tier = INLINE

    def __init__(self, gives: Any) -> None:
        self.gives, self.asked = gives, list[str]()

    def scope(self, process_id: str) -> EffectScope | None:
        self.asked.append(process_id)
        if isinstance(self.gives, Exception):
            raise self.gives
        return cast("EffectScope | None", self.gives)


# --- B3, B4: the scope --------------------------------------------------------------------------------------------


def test_b3_the_effect_host_is_asked_for_the_scope_of_that_process() -> None:
    inline = InlineEffects()
    host = Host(inline.scope("p"))
    world = DirectWorld.new(effects=host)
    assert world.run(done) == DONE
    assert host.asked == ["p"]
    assert world.asked[0] == CallPlain(scope_of, (host, "p"))


@pytest.mark.parametrize(
    ("gives", "said"),
    [(OSError("no disk"), "it raised OSError: no disk"), (None, "it returned None, which is no EffectScope")],
)
def test_b3_a_host_that_fails_or_gives_none_is_an_error_before_anything_else(gives: Any, said: str) -> None:
    """Before B5's checks: even a process that is wrong in every way is told of its host first."""
    world = DirectWorld.new(effects=Host(gives))
    for registration in (JOB, evolve(JOB, id=" "), EXTERNAL):
        with pytest.raises(EffectHostFailed, match=said):
            world.run(done, registration)


def test_b4_a_scope_of_the_callers_own_is_used_and_no_host_is_asked() -> None:
    class Journal:
        def __init__(self) -> None:
            self.kept: dict[str, Json] = {}

        async def recorded(self) -> dict[str, Any]:
            return {}

        async def record(self, key: str, fingerprint: str, result: Json) -> Json:
            self.kept[key] = result
            return result

    class Own:
        def __init__(self) -> None:
            self.journals: list[Journal] = []

        def journal(self, ask: Any, grant: Any, epoch: int) -> Journal:
            self.journals.append(Journal())
            return self.journals[-1]

    async def handler(ctx: Any) -> int:
        value: int = await ctx.effect("one", lambda: 7)
        return value

    host, own = Host(OSError()), Own()
    assert DirectWorld.new(effects=host).run(handler, effects=own) == Success(canonical(7))
    assert host.asked == []
    assert [journal.kept for journal in own.journals] == [{"one": "7"}]


def test_b4_what_is_no_scope_is_refused() -> None:
    with pytest.raises(InvalidValue) as refused:
        DirectWorld.new().run(done, effects=7)
    assert str(refused.value) == "effects must be an EffectScope or None, with the method 'journal'; it is 7"


# --- B5, B6: the checks -------------------------------------------------------------------------------------------


ORDER: list[tuple[dict[str, Any], type[TenureError], str]] = [
    ({"id": " "}, BlankProcessId, "the process id is empty or blank"),
    (
        {"host_profile_id": "theirs"},
        ProfileMismatch,
        "the process was made for host profile 'theirs', this worker's is 'ours'",
    ),
    (
        {"tier": INLINE},
        TierMismatch,
        "a durable worker needs a durable artifact store; the configured one is inline",
    ),
    ({"owner_scope": ""}, OwnerScopeMissing, "process 'p' names no owner scope, so it has no session to run in"),
    ({"lease": None}, LeaseRequired, ("process 'p' runs without a lease, so its effects cannot be kept by an effect "
     "host that is durable; claim the process and pass the lease")),
    ({"kind": "other"}, UnknownKind, "this worker has no handler of kind 'other'; it has: job"),
]  # fmt: skip


def checked(*wrong: dict[str, Any]) -> Outcome:
    """Run a process with which exactly these are wrong, in a durable deployment of profile `ours`."""
    said = {
        "id": "p",
        "host_profile_id": "ours",
        "tier": DURABLE,
        "owner_scope": "s",
        "lease": 1,
        "kind": "job",
    }
    for one in wrong:
        said |= one
    tiers: Any = dict.fromkeys(STORES, DURABLE) | {"artifacts": said["tier"]}
    world = DirectWorld.new(effects=RegistryEffects(DURABLE), profile="ours", **tiers)
    provenance = Provenance(cast("str", said["owner_scope"]), cast("str", said["host_profile_id"]))
    registration = Registration(cast("str", said["id"]), Work(cast("str", said["kind"])), (), provenance)
    lease = None
    if said["lease"]:
        granted = world.claimed(Registration("any", Work("job"), (), Provenance("s")))
        record = evolve(granted.grant.record, registration=registration)
        lease = HeldLease(evolve(granted.grant, record=record), granted.epoch)
    return world.run(done, registration, lease=lease)


def test_b5_a_process_with_which_nothing_is_wrong_runs() -> None:
    assert checked() == DONE
    assert checked({"host_profile_id": ""}) == DONE


@pytest.mark.parametrize(("wrong", "error", "said"), ORDER, ids=lambda one: getattr(one, "__name__", None))
def test_b5_each_check_has_an_error_of_its_own(
    wrong: dict[str, Any], error: type[TenureError], said: str
) -> None:
    with pytest.raises(error) as raised:
        checked(wrong)
    assert type(raised.value) is error
    assert str(raised.value) == said
    if isinstance(raised.value, Unfit | LeaseRequired):
        assert raised.value.process_id == wrong.get("id", "p")


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
def test_b5_the_first_check_that_is_not_passed_is_raised(first: Any, second: Any) -> None:
    with pytest.raises(first[1]):
        checked(first[0], second[0])


@pytest.mark.parametrize("facet", STORES)
def test_b6_the_configured_host_decides_also_when_a_caller_brings_a_scope(facet: str) -> None:
    tiers: Any = dict.fromkeys(STORES, DURABLE) | {facet: INLINE}
    own = InlineEffects().scope("p")
    world = DirectWorld.new(effects=RegistryEffects(DURABLE), **tiers)
    with pytest.raises(TierMismatch):
        world.run(done, effects=own, lease=world.claimed())
    inline: Any = {facet: DURABLE}
    assert DirectWorld.new(effects=InlineEffects(), **inline).run(done, effects=own) == DONE


def test_b5_an_external_input_ends_here_and_no_session_is_opened() -> None:
    """Not even the session that it names, and no plugin is opened for it."""

    def never() -> Any:
        raise AssertionError

    world = DirectWorld.new()
    config = world.config(never, sessions=Kept(INLINE, world.memory))
    named = evolve(EXTERNAL, provenance=Provenance("s"))
    for registration in (EXTERNAL, named):
        outcome = world.run(registration=registration, config=config)
        assert outcome == Success(canonical({"metadata": {"by": "hand"}}))
    assert len(world.asked) == 2, "the effect host was asked, twice, and nothing else"


def test_an_external_input_in_a_durable_deployment_needs_no_lease() -> None:
    tiers: Any = dict.fromkeys(STORES, DURABLE)
    world = DirectWorld.new(effects=RegistryEffects(DURABLE), **tiers)
    assert world.run(done, EXTERNAL) == Success(canonical({"metadata": {"by": "hand"}}))


# --- arguments ----------------------------------------------------------------------------------------------------


def test_a_lease_is_for_that_very_registration() -> None:
    world = DirectWorld.new()
    lease = world.claimed()
    for other in (evolve(JOB, id="q"), evolve(JOB, input=Work("job", canonical(1)))):
        with pytest.raises(InvalidValue) as refused:
            world.run(done, other, lease=lease)
        assert str(refused.value) == (
            f"the lease is for process 'p' as it is registered, not for what is to be run: {other!r}"
        )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"config": 7}, "config must be of type WorkerConfig; it is 7"),
        ({"registration": "p"}, "registration must be of type Registration; it is 'p'"),
        ({"execution": "s"}, "execution must be of type ExecutionContext; it is 's'"),
        ({"cancellation": 7}, "cancellation must be of type Cancellation or None; it is 7"),
        ({"lease": 7}, "lease must be of type HeldLease or None; it is 7"),
        ({"plugins": 7}, "plugins must be of type PluginStack or None; it is 7"),
    ],
)
def test_arguments_of_the_wrong_type(how: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        DirectWorld.new().run(done, **how)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("grant", "epoch", "said"),
    [
        (None, 1, "HeldLease.grant must be of type Grant; it is None"),
        (DirectWorld.new().claimed().grant, "1", "HeldLease.epoch must be of type int; it is '1'"),
    ],
    ids=["grant", "epoch"],
)
def test_a_lease_is_what_the_claim_answered(grant: Any, epoch: Any, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        HeldLease(grant, epoch)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "made", [lambda: ExecutionContext(cast("str", 5)), lambda: Cancellation().cancel(cast("str", 5))]
)
def test_texts_are_texts(made: Callable[[], object]) -> None:
    with pytest.raises(
        InvalidValue,
        match=r"^(ExecutionContext.wake|the reason of a cancellation) must be a string; it is 5$",
    ):
        made()
