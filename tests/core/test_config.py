"""A worker's configuration (B1), shared by many workers (B2), and what is refused of it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from tenure.app import App
from tenure.config import RuntimeHost, WorkerConfig
from tenure.effects import InlineEffects, RegistryEffects
from tenure.errors import InvalidValue
from tenure.plugins import PluginHost
from tenure.sessions import Residency, SessionPolicy
from tenure.stores import DurabilityTier
from tenure.tiers import Facets
from tenure_memory import MemorySessions, open_store
from tests.core.direct_world import STORES, DirectWorld, Kept, app

DURABLE, INLINE = DurabilityTier.DURABLE, DurabilityTier.INLINE


def test_b1_what_has_a_default() -> None:
    world = DirectWorld.new()
    config = WorkerConfig(PluginHost.from_stack(), world.host, world.sessions, world.registry)
    assert (config.policy, config.residency, config.registry_name) == (
        SessionPolicy(),
        Residency.ACTIVE_PATH_ONLY,
        "",
    )
    assert RuntimeHost(InlineEffects(), world.attachments, world.artifacts).host_profile_id == ""


def test_b1_from_a_host_from_factories_or_from_a_stack() -> None:
    world = DirectWorld.new()
    rest: Any = {
        "runtime": world.host,
        "sessions": world.sessions,
        "registry": world.registry,
        "policy": SessionPolicy(entries=5),
        "residency": Residency.KEEP_ALL,
        "registry_name": "main",
    }
    mine = app("mine")
    made = [
        WorkerConfig(PluginHost.from_stack(mine), **rest),
        WorkerConfig.from_stack(mine, **rest),
        WorkerConfig.from_factories(lambda: mine, **rest),
    ]
    for config in made:
        assert [plugin.name for plugin in config.plugins.open().plugins] == ["mine"]
        assert {name: getattr(config, name) for name in rest} == rest
    assert (
        WorkerConfig.from_stack(runtime=world.host, sessions=world.sessions, registry=world.registry).policy
        == SessionPolicy()
    )


def test_b2_many_workers_share_one_configuration_without_copying_it() -> None:
    world = DirectWorld.new()
    mine = app("mine")
    config = world.config(lambda: App("own"), lambda: mine)
    one, other = config.plugins.open(), config.plugins.open()
    assert one.plugins[0] is not other.plugins[0]
    assert one.plugins[1] is other.plugins[1] is mine.plugin
    assert config.sessions is world.sessions
    assert config.registry is world.registry
    assert config.runtime.attachments is world.attachments
    with pytest.raises(FrozenInstanceError):
        cast("Any", config).sessions = None


def test_b6_the_tiers_are_those_of_the_stores() -> None:
    """Each by its own name: the facet that is named must be the one that is not durable."""
    words = {
        "attachments": "attachment store",
        "artifacts": "artifact store",
        "sessions": "session store factory",
        "registry": "process registry",
    }
    for name, word in words.items():
        tiers: Any = {facet: INLINE if facet == name else DURABLE for facet in STORES}
        config = DirectWorld.new(effects=RegistryEffects(DURABLE), **tiers).config()
        assert config.facets == Facets(effect_host=DURABLE, **tiers)
        assert config.tier_fault == f"a durable worker needs a durable {word}; the configured one is inline"
    inline = DirectWorld.new(effects=InlineEffects()).config()
    assert inline.facets == Facets.of_one_store(INLINE)
    assert inline.tier_fault == ""


MINE = App()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plugins": []}, "WorkerConfig.plugins must be of type PluginHost; it is []"),
        ({"plugins": MINE}, f"WorkerConfig.plugins must be of type PluginHost; it is {MINE!r}"),
        ({"runtime": None}, "WorkerConfig.runtime must be of type RuntimeHost; it is None"),
        ({"policy": {}}, "WorkerConfig.policy must be of type SessionPolicy; it is {}"),
        ({"policy": None}, "WorkerConfig.policy must be of type SessionPolicy; it is None"),
        ({"residency": "keep_all"}, "WorkerConfig.residency must be of type Residency; it is 'keep_all'"),
        ({"registry_name": 5}, "WorkerConfig.registry_name must be a string; it is 5"),
        ({"sessions": 5}, "WorkerConfig.sessions must have the method 'open'; 5 has none"),
        ({"registry": 5}, "WorkerConfig.registry must have the method 'execute'; 5 has none"),
        (
            {"sessions": Kept("durable", MemorySessions())},
            "WorkerConfig.sessions must state its tier, a DurabilityTier; the store says 'durable'",
        ),
        (
            {"registry": Kept(None, open_store("memory:"))},
            "WorkerConfig.registry must state its tier, a DurabilityTier; the store says None",
        ),
    ],
)
def test_what_does_not_fit_into_a_configuration(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        evolve(DirectWorld.new().config(), **change)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effects": 5}, "RuntimeHost.effects must have the method 'scope'; 5 has none"),
        ({"attachments": 5}, "RuntimeHost.attachments must have the method 'begin'; 5 has none"),
        ({"artifacts": 5}, "RuntimeHost.artifacts must have the method 'begin'; 5 has none"),
        ({"host_profile_id": 5}, "RuntimeHost.host_profile_id must be a string; it is 5"),
        (
            {"effects": Kept(5, InlineEffects())},
            "RuntimeHost.effects must state its tier, a DurabilityTier; the store says 5",
        ),
    ],
)
def test_what_does_not_fit_into_a_runtime_host(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        evolve(DirectWorld.new().host, **change)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("field", "method"),
    [
        ("attachments", "begin"),
        ("attachments", "stat"),
        ("attachments", "chunks"),
        ("artifacts", "begin"),
        ("artifacts", "stat"),
        ("artifacts", "chunks"),
        ("sessions", "open"),
        ("registry", "execute"),
        ("registry", "wait"),
    ],
)
def test_a_store_has_its_methods(field: str, method: str) -> None:
    """Refused here, and not when a process is already there."""

    class Lame:
        tier = INLINE

        def __repr__(self) -> str:
            return "the store"

    world = DirectWorld.new()
    config = world.config()
    whole = getattr(world, field)
    lame = Lame()
    for name in ("begin", "stat", "chunks", "open", "execute", "wait"):
        if name != method and hasattr(whole, name):
            setattr(lame, name, getattr(whole, name))
    changed: Any = config.runtime if field in ("attachments", "artifacts") else config
    with pytest.raises(InvalidValue) as refused:
        evolve(changed, **{field: lame})
    assert (
        str(refused.value)
        == f"{type(changed).__name__}.{field} must have the method {method!r}; the store has none"
    )


def test_a_store_that_says_nothing_of_its_tier() -> None:
    class Silent:
        def scope(self, process_id: str) -> None:
            """Nothing."""

        def __repr__(self) -> str:
            return "the host"

    changes: Any = {"effects": Silent()}
    with pytest.raises(InvalidValue) as refused:
        evolve(DirectWorld.new().host, **changes)
    assert (
        str(refused.value) == "RuntimeHost.effects must state its tier, a DurabilityTier; the host says None"
    )
