"""The tier check: B6's order, and its boundary tests by the names of B22."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import evolve

from tenure import attempt_types as t
from tenure import worker
from tenure.attempt_opening import begin
from tenure.canonical import canonical
from tenure.effects import RegistryEffects
from tenure.errors import TierMismatch
from tenure.instants import Instant
from tenure.process import External, Fence, Record, Registration, Success
from tenure.replies import Grant
from tenure.stores import Cursor, DurabilityTier
from tenure.tiers import Facets, tier_fault
from tenure.timings import LeaseTimings
from tenure.worker_types import Stopped, WorkerTerms
from tests.core import samples
from tests.core.direct_world import DirectWorld

INLINE, DURABLE = DurabilityTier.INLINE, DurabilityTier.DURABLE
ALL_DURABLE = Facets.of_one_store(DURABLE)
NEEDS = "a durable worker needs a durable {}; the configured one is inline"


def driven(facets: Facets) -> tuple[str, t.Step]:
    """What a worker on these facets says of itself, and what becomes of an external process granted to it."""
    fault = tier_fault(facets)
    terms = t.Terms(LeaseTimings(), "", ("k",), tier_fault=fault)
    stopped = worker.start(WorkerTerms("us", terms, 1, 1, 1), Instant(0)).state
    assert (stopped == Stopped(0, fault)) == bool(fault), "S15: it never drives"
    record: Record = evolve(samples.RECORD, registration=Registration("x", External()))
    grant = Grant(Fence("x", samples.CLAIM, 1), record)
    return fault, begin(terms, grant, 1, Instant(0), t.Tick(now=Instant(0), tag=1))


def run_directly(facets: Facets) -> str:
    """What `run_process` says of an external process on stores of these tiers: B22's own way to ask."""
    world = DirectWorld.new(
        effects=RegistryEffects(facets.effect_host),
        attachments=facets.attachments,
        artifacts=facets.artifacts,
        sessions=facets.sessions,
        registry=facets.registry,
    )
    try:
        outcome = world.run(registration=Registration("x", External()))
    except TierMismatch as mismatch:
        return str(mismatch)
    assert outcome == Success(canonical({"metadata": None}))
    return ""


def said(step: t.Step) -> str:
    """The report with which an unfit process is given back: nothing of it is written (W4)."""
    report, send = step.commands
    assert isinstance(step.state, t.Releasing)
    assert isinstance(send, t.Send)
    assert isinstance(report, t.Report)
    return report.what


def test_durable_worker_rejects_ephemeral_attachment_store() -> None:
    facets = evolve(ALL_DURABLE, attachments=INLINE)
    fault, step = driven(facets)
    assert fault == said(step) == run_directly(facets) == NEEDS.format("attachment store")


def test_durable_worker_rejects_ephemeral_artifact_store() -> None:
    facets = evolve(ALL_DURABLE, artifacts=INLINE)
    fault, step = driven(facets)
    assert fault == said(step) == run_directly(facets) == NEEDS.format("artifact store")


def test_durable_worker_rejects_ephemeral_session_store_factory() -> None:
    facets = evolve(ALL_DURABLE, sessions=INLINE)
    fault, step = driven(facets)
    assert fault == said(step) == run_directly(facets) == NEEDS.format("session store factory")


def test_durable_worker_rejects_ephemeral_process_registry() -> None:
    facets = evolve(ALL_DURABLE, registry=INLINE)
    fault, step = driven(facets)
    assert fault == said(step) == run_directly(facets) == NEEDS.format("process registry")


def test_durable_worker_with_all_durable_stores_passes_store_facet_check() -> None:
    fault, step = driven(ALL_DURABLE)
    assert fault == run_directly(ALL_DURABLE) == ""
    assert said(step) == "the store granted an external process, which the contract forbids"


def test_inline_worker_passes_store_facet_check_with_ephemeral_stores() -> None:
    fault, step = driven(Facets.of_one_store(INLINE))
    assert fault == run_directly(Facets.of_one_store(INLINE)) == ""
    assert said(step) == "the store granted an external process, which the contract forbids"


@pytest.mark.parametrize("tiers", list(product([INLINE, DURABLE], repeat=4)))
def test_the_first_that_is_not_durable_is_named(tiers: tuple[DurabilityTier, ...]) -> None:
    """B6: attachments, artifacts, sessions, registry, in that order; an inline effect host needs nothing."""
    words = ("attachment store", "artifact store", "session store factory", "process registry")
    first = next((word for word, tier in zip(words, tiers, strict=True) if tier is INLINE), None)
    needs = NEEDS.format(first) if first else ""
    assert tier_fault(Facets(DURABLE, *tiers)) == run_directly(Facets(DURABLE, *tiers)) == needs
    assert tier_fault(Facets(INLINE, *tiers)) == run_directly(Facets(INLINE, *tiers)) == ""


def test_a_cursor_begins_at_nothing() -> None:
    assert Cursor() == Cursor(version=0, work=0)


@pytest.mark.parametrize("tier", list(DurabilityTier))
def test_one_store_for_everything(tier: DurabilityTier) -> None:
    assert Facets.of_one_store(tier) == Facets(
        effect_host=tier, attachments=tier, artifacts=tier, sessions=tier, registry=tier
    )
