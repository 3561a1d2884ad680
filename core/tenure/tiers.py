"""Whether what a worker is built on is durable enough to drive processes (B6, S15)."""

from __future__ import annotations

from attrs import frozen

from tenure.stores import DurabilityTier


@frozen
class Facets:
    """The tiers of the effect host and of the four stores that a durable worker needs."""

    effect_host: DurabilityTier
    attachments: DurabilityTier
    artifacts: DurabilityTier
    sessions: DurabilityTier
    registry: DurabilityTier

    @classmethod
    def of_one_store(cls, tier: DurabilityTier) -> Facets:
        """All five kept by the same store."""
        return cls(tier, tier, tier, tier, tier)


_MESSAGES = (
    ("attachments", "attachment store"),
    ("artifacts", "artifact store"),
    ("sessions", "session store factory"),
    ("registry", "process registry"),
)


def tier_fault(facets: Facets) -> str:
    """The exact message for the first facet that is not durable, in B6's order; empty where all suffice."""
    if facets.effect_host is not DurabilityTier.DURABLE:
        return ""
    for name, words in _MESSAGES:
        tier: DurabilityTier = getattr(facets, name)
        if tier is not DurabilityTier.DURABLE:
            return f"a durable worker needs a durable {words}; the configured one is {tier.value}"
    return ""
