"""Every worker and client is made of a `WorkerConfig`; where a program gives an App and a store, it is made here."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from attrs import frozen

from tenure.config import RuntimeHost, WorkerConfig
from tenure.contents import Content, ContentStore, Upload
from tenure.effects import InlineEffects, RegistryEffects
from tenure.errors import FacetMissing, InvalidValue
from tenure.facets import BringsFacets, StoredFacets
from tenure.limits import Limits
from tenure.plugins import AnyPlugin, PluginHost
from tenure.sessions import Residency, SessionPolicy, SessionStore
from tenure.stores import DurabilityTier, ProcessRegistry
from tenure_driver.stores import open_store


@frozen(eq=False)
class _Sessions:
    """The sessions of a registry's own store, opened at their first use: most clients never need them."""

    registry: ProcessRegistry

    @property
    def tier(self) -> DurabilityTier:
        return self.registry.tier

    def open(self, session_id: str, policy: SessionPolicy) -> SessionStore:
        return _facets(self.registry, "sessions").sessions.open(session_id, policy)

    def close(self) -> None:
        """The registry closes what it brought."""


@frozen(eq=False)
class _Contents:
    """Likewise its attachments or artifacts."""

    registry: ProcessRegistry
    what: str

    @property
    def tier(self) -> DurabilityTier:
        return self.registry.tier

    @property
    def _store(self) -> ContentStore:
        facets = _facets(self.registry, self.what)
        return facets.attachments if self.what == "attachments" else facets.artifacts

    def begin(self) -> Upload:
        return self._store.begin()

    def stat(self, content_id: str) -> Content:
        return self._store.stat(content_id)

    def chunks(self, content_id: str) -> Iterator[bytes]:
        yield from self._store.chunks(content_id)  # nothing is opened before the first chunk is asked for

    def close(self) -> None:
        """The registry closes what it brought."""


def _facets(registry: ProcessRegistry, wanted: str) -> StoredFacets:
    if not isinstance(registry, BringsFacets):
        raise FacetMissing(wanted)
    return registry.facets()


def has_facets(config: WorkerConfig) -> bool:
    """Whether there is a session store at all: a registry of one's own, given alone, need not bring one."""
    return not isinstance(config.sessions, _Sessions) or isinstance(config.registry, BringsFacets)


def configured(
    what: AnyPlugin | WorkerConfig | None,
    store: ProcessRegistry | str | WorkerConfig | None,
    profile: str,
    limits: Limits,
) -> WorkerConfig:
    """What a program gave, as a configuration: a configuration alone, or a store with or without plugins. A store by
    URL is opened, and is the caller's to close. Raises InvalidValue, StoreUnusable."""
    given = store if isinstance(store, WorkerConfig) else what
    if isinstance(given, WorkerConfig):
        if store is not None and given is not store:
            raise InvalidValue("a WorkerConfig has a registry of its own; give no store beside it")
        host_profile = given.runtime.host_profile_id
        if profile not in ("", host_profile):
            raise InvalidValue(
                f"profile={profile!r}, and the configuration's host profile is {host_profile!r}; leave one of them out"
            )
        return given
    if store is None or isinstance(store, WorkerConfig):
        raise InvalidValue("name the store that the worker drives, such as 'sqlite:///jobs.db'")
    plugins = () if given is None else (given,)
    registry = open_store(store, limits) if isinstance(store, str) else store
    try:
        return config_of(registry, *plugins, profile=profile)
    except BaseException:
        if isinstance(store, str):
            registry.close()
        raise


def config_of(registry: ProcessRegistry, *plugins: AnyPlugin, profile: str = "") -> WorkerConfig:
    """The configuration of a worker that has a registry and plugins: everything else is what the registry brings, and
    effects are kept in the registry itself."""
    attachments, artifacts = _Contents(registry, "attachments"), _Contents(registry, "artifacts")
    host = RuntimeHost(RegistryEffects(registry.tier), attachments, artifacts, profile)
    return WorkerConfig(PluginHost.from_stack(*plugins), host, _Sessions(registry), registry)


@contextmanager
def durable_config(
    url: str,
    *plugins: AnyPlugin,
    profile: str = "",
    policy: SessionPolicy | None = None,
    residency: Residency = Residency.ACTIVE_PATH_ONLY,
    limits: Limits | None = None,
) -> Generator[WorkerConfig]:
    """A configuration whose registry, sessions, attachments, artifacts and effects are all kept in the store of that
    URL; the store is closed with the block, after the workers that use it.

    Raises InvalidValue for a bad URL, or a store that is not durable (B6), and StoreUnusable.
    """
    registry = open_store(url, limits)
    try:
        if registry.tier is not DurabilityTier.DURABLE:
            raise InvalidValue(f"{url!r} names a store that is {registry.tier.value}, not durable")
        made = config_of(registry, *plugins, profile=profile)
        yield WorkerConfig(
            made.plugins, made.runtime, made.sessions, registry, policy or SessionPolicy(), residency
        )
    finally:
        registry.close()


def in_memory_host(profile: str = "") -> RuntimeHost:
    """A host that keeps everything in memory and journals no effect (tier inline): for tests, and for runs that need
    not survive. Raises InvalidValue where the store in memory is not installed."""
    registry = open_store("memory:")
    facets = _facets(registry, "attachments")
    return RuntimeHost(InlineEffects(), facets.attachments, facets.artifacts, profile)
