"""How a worker is configured (B1): plugins, hosts and stores. Only input and provenance are in a row; everything else
comes from the deployment, and from here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Required, TypedDict, Unpack

from attrs import field, frozen

from tenure.asks import AskFunction
from tenure.contents import Contents, ContentStore
from tenure.effects import EffectHost, EffectScope
from tenure.errors import InvalidValue
from tenure.kinds import Converter, string
from tenure.plugins import AnyPlugin, PluginFactory, PluginHost
from tenure.runtime import Runtime
from tenure.session import Session, open_session
from tenure.sessions import Residency, SessionFence, SessionPolicy, SessionStoreFactory
from tenure.stores import DurabilityTier, ProcessRegistry
from tenure.tiers import Facets, tier_fault


def of_type(kind: type[Any]) -> Callable[[object, Any, Any], None]:
    """A validator: the value is of that type."""

    def check(config: object, attribute: Any, value: Any) -> None:
        if not isinstance(value, kind):
            raise InvalidValue(
                f"{type(config).__name__}.{attribute.name} must be of type {kind.__name__}; it is {value!r}"
            )

    return check


def _with_tier(*methods: str) -> Callable[[object, Any, Any], None]:
    """A validator: the value states its tier, and has these methods."""

    def check(config: object, attribute: Any, value: Any) -> None:
        what = f"{type(config).__name__}.{attribute.name}"
        missing = [name for name in methods if not callable(getattr(value, name, None))]
        if missing:
            raise InvalidValue(f"{what} must have the method {missing[0]!r}; {value!r} has none")
        tier = getattr(value, "tier", None)
        if not isinstance(tier, DurabilityTier):
            raise InvalidValue(f"{what} must state its tier, a DurabilityTier; {value!r} says {tier!r}")

    return check


def _text(config: object, attribute: Any, value: Any) -> None:
    string(value, f"{type(config).__name__}.{attribute.name}")


@frozen(eq=False)
class RuntimeHost:
    """Where the processes of a deployment keep what is not in their rows: the host of their effects, attachments and
    artifacts. `host_profile_id` says which kind of deployment this is; a worker claims rows of its own profile, and
    those that name none. Raises InvalidValue."""

    effects: EffectHost = field(validator=_with_tier("scope"))
    attachments: ContentStore = field(validator=_with_tier("begin", "stat", "chunks"))
    artifacts: ContentStore = field(validator=_with_tier("begin", "stat", "chunks"))
    host_profile_id: str = field(default="", validator=_text)


class WithoutPlugins(TypedDict, total=False):
    """The fields of `WorkerConfig` but its plugins, with its meaning and defaults."""

    runtime: Required[RuntimeHost]
    sessions: Required[SessionStoreFactory]
    registry: Required[ProcessRegistry]
    policy: SessionPolicy
    residency: Residency
    registry_name: str


@frozen(eq=False)
class WorkerConfig:
    """Everything that a worker is made of. Immutable, and shared by as many workers as one likes (B2): each opens the
    plugin host for itself, and all of them use the same stores, which whoever made them closes.

    `policy` bounds a session and `residency` says how much of it a rebuild loads. `registry_name` tells registries
    apart that share a session store: leave it alone where there is one. Raises InvalidValue.
    """

    plugins: PluginHost = field(validator=of_type(PluginHost))
    runtime: RuntimeHost = field(validator=of_type(RuntimeHost))
    sessions: SessionStoreFactory = field(validator=_with_tier("open"))
    registry: ProcessRegistry = field(validator=_with_tier("execute", "wait"))
    policy: SessionPolicy = field(default=SessionPolicy(), validator=of_type(SessionPolicy))
    residency: Residency = field(default=Residency.ACTIVE_PATH_ONLY, validator=of_type(Residency))
    registry_name: str = field(default="", validator=_text)

    @classmethod
    def from_factories(cls, *factories: PluginFactory, **rest: Unpack[WithoutPlugins]) -> WorkerConfig:
        """Each factory makes one plugin instance for each worker, in this order."""
        return cls(PluginHost.from_factories(*factories), **rest)

    @classmethod
    def from_stack(cls, *plugins: AnyPlugin, **rest: Unpack[WithoutPlugins]) -> WorkerConfig:
        """The same plugin instances for all workers, in this order; an App stands for its plugin."""
        return cls(PluginHost.from_stack(*plugins), **rest)

    @property
    def facets(self) -> Facets:
        """The tiers that B6 looks at."""
        host = self.runtime
        return Facets(
            effect_host=host.effects.tier,
            attachments=host.attachments.tier,
            artifacts=host.artifacts.tier,
            sessions=self.sessions.tier,
            registry=self.registry.tier,
        )

    @property
    def tier_fault(self) -> str:
        """Why this configuration is not durable enough, in B6's words; empty where it is."""
        return tier_fault(self.facets)

    async def session(
        self, ask: AskFunction, convert: Converter, session_id: str, fence: SessionFence | None
    ) -> Session:
        """Open a session under this policy, and load of it what the residency says (B7). Raises as
        `tenure.session.open_session` does."""
        return await open_session(ask, self.sessions, session_id, self.policy, self.residency, fence, convert)

    def rebuilt(self, ask: AskFunction, session: Session | None, effects: EffectScope) -> Runtime:
        """What a process with that session and that scope for its effects runs in."""
        attachments = Contents(ask, self.runtime.attachments, "attachment")
        artifacts = Contents(ask, self.runtime.artifacts, "artifact")
        return Runtime(session, attachments, artifacts, effects)
