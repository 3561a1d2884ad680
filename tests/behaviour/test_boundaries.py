"""B22: the boundary tests that the original ships, by its names. Each runs an `external` process, which needs nothing
but the checks; the rejections have the exact message of their facet."""

from __future__ import annotations

from typing import Any

import pytest

from tenure import DurabilityTier, ProcessRegistry, Success
from tenure.canonical import canonical
from tenure.errors import TierMismatch
from tenure.process import External, Registration
from tests.adapters.loops import Host
from tests.behaviour.directly import durable, run

INLINE = DurabilityTier.INLINE
EXTERNAL = Registration("p", External(canonical({"by": "hand"})))
PASSED = Success(canonical({"metadata": {"by": "hand"}}))


def rejection(host: Host, registry: ProcessRegistry, facet: str) -> str:
    """What is said where that facet alone is inline."""
    ephemeral: Any = {facet: INLINE}
    refused = run(host, durable(registry, **ephemeral), EXTERNAL)
    assert type(refused) is TierMismatch
    return str(refused)


def test_b22_durable_worker_rejects_ephemeral_attachment_store(registry: ProcessRegistry, host: Host) -> None:
    said = rejection(host, registry, "attachments")
    assert said == "a durable worker needs a durable attachment store; the configured one is inline"


def test_b22_durable_worker_rejects_ephemeral_artifact_store(registry: ProcessRegistry, host: Host) -> None:
    said = rejection(host, registry, "artifacts")
    assert said == "a durable worker needs a durable artifact store; the configured one is inline"


def test_b22_durable_worker_rejects_ephemeral_session_store_factory(
    registry: ProcessRegistry, host: Host
) -> None:
    said = rejection(host, registry, "sessions")
    assert said == "a durable worker needs a durable session store factory; the configured one is inline"


def test_b22_durable_worker_rejects_ephemeral_process_registry(registry: ProcessRegistry, host: Host) -> None:
    said = rejection(host, registry, "registry")
    assert said == "a durable worker needs a durable process registry; the configured one is inline"


def test_b22_durable_worker_with_all_durable_stores_passes_store_facet_check(
    registry: ProcessRegistry, host: Host
) -> None:
    assert run(host, durable(registry), EXTERNAL) == PASSED


@pytest.mark.parametrize("ephemeral", ["all", "attachments", "artifacts", "sessions", "registry"])
def test_b22_inline_worker_passes_store_facet_check_with_ephemeral_stores(
    registry: ProcessRegistry, host: Host, ephemeral: str
) -> None:
    names = ["attachments", "artifacts", "sessions", "registry"] if ephemeral == "all" else [ephemeral]
    inline: Any = dict.fromkeys(["effects", *names], INLINE)
    config = durable(registry, **inline)
    assert run(host, config, EXTERNAL) == PASSED
