"""The search itself: breadth first, over any world, until no state is new.

A world gives states, which are hashable and small, and what can happen in them. It judges each transition as it makes
it and raises `Broken`; since the search is breadth first, the way there is a shortest one. A core that raises anything
else where it must answer breaks `error`, by as short a way. Nothing here reads a clock.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from attrs import field, frozen

from tenure_testing.checking.saving import trace_of

if TYPE_CHECKING:
    from tenure_testing.checking.configuration import Configuration

State: TypeAlias = Hashable
ERROR = "error"
"""In the place of a property: the core, or the world around it, raised what nobody expects."""


class Broken(Exception):
    """A transition that breaks `properties`; the one that names the fault best comes first.

    `said`: the transition in words. The explorer adds the way there.
    """

    def __init__(self, properties: Sequence[str], said: str) -> None:
        super().__init__(f"{', '.join(properties)}: {said}")
        self.properties = tuple(properties)
        self.said = said


class Move(NamedTuple):
    """One transition for people: who did what to whom, and what the world looks like after it."""

    actor: str
    action: str
    target: str
    note: str


class World(Protocol):
    """What can be explored. All methods are deterministic, whatever PYTHONHASHSEED is."""

    seen: set[str]
    """The words of all transitions made so far; `Configuration.sometimes` are among them."""
    unsaid: str
    """Why the words of `tests/traces` cannot say what happens here; empty where they can."""

    @abstractmethod
    def start(self) -> State:
        """The first state."""

    @abstractmethod
    def successors(self, state: Any) -> Sequence[State]:
        """The state after each transition. Raises Broken."""

    @abstractmethod
    def told(self, path: Sequence[Any]) -> Iterable[Move]:
        """The transitions between the states of a path."""

    @abstractmethod
    def judged(self) -> tuple[int, int]:
        """How many distinct requests to distinct rows, and distinct steps of a machine, were judged so far."""

    @abstractmethod
    def tables(self) -> Iterable[str]:
        """All that the core answered, in words and in the order of asking: the states and the graph follow from it."""


@frozen
class Violation:
    """What broke, and a shortest way to it; where the world can tell, the transition that broke it comes last.
    `unsaid`: the world's."""

    properties: tuple[str, ...]
    said: str
    path: tuple[Move, ...]
    unsaid: str = field(default="", kw_only=True)

    def lines(self) -> list[str]:
        """The counterexample, one line a transition."""
        numbered = enumerate(self.path, 1)
        steps = [f"{n:3} {move.actor + ': ' + move.action:52} {move.note}".rstrip() for n, move in numbered]
        return [*steps, f"    breaks {', '.join(self.properties)}: {self.said}"]

    def as_trace(self) -> str:
        """The counterexample as a file of `tests/traces`, as far as its words can say it; all of it as comments."""
        return trace_of(self)


@frozen
class Explored:
    """What a search found. `depth`: the longest of the shortest ways to a state. `pairs` of row and request and `steps`
    of a machine, are what the transitions are made of: each was judged, and another order of the same ones is no new
    evidence of what holds of each. `seconds` of CPU and `peak_mib` of
    memory are 0 where nobody measured (`tenure_testing.checking.measuring`)."""

    configuration: Configuration
    states: int
    transitions: int
    depth: int
    seen: frozenset[str]
    violation: Violation | None = None
    pairs: int = 0
    steps: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0

    @property
    def sometimes_missed(self) -> tuple[str, ...]:
        """What should have been seen in this configuration, and was not."""
        return tuple(name for name in self.configuration.sometimes if name not in self.seen)


def explore(configuration: Configuration, progress: Callable[[int], None] | None = None) -> Explored:
    """All that can happen in the configuration. `progress` is told the number of states, now and then.

    It runs whatever `tenure` modules are imported, so a patched core is what is explored.
    """
    if configuration.search is not None:
        return configuration.search(configuration, progress)
    return explore_world(configuration, configuration.world(configuration), progress)


def explore_world(
    configuration: Configuration, world: World, progress: Callable[[int], None] | None = None
) -> Explored:
    """The same in a world that the caller made and may look into afterwards."""
    first = world.start()
    parents, queue = {first: first}, [first]
    transitions = depth = 0
    layer_ends = 1  # the number of states up to the present depth
    violation = None
    collecting = gc.isenabled()
    gc.disable()  # millions of tuples of numbers, and no cycles among them
    try:
        for done, state in enumerate(queue):
            if done == layer_ends:
                depth, layer_ends = depth + 1, len(queue)
            if progress is not None and not done & 0xFFFF:
                progress(len(queue))
            try:
                after = world.successors(state)
            except Broken as broken:
                violation = _violation(world, way_to(state, parents), broken.properties, broken.said)
                break
            except Exception as error:  # the core has to answer whatever it is asked
                said = f"raises {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
                violation = _violation(world, way_to(state, parents), (ERROR,), said)
                break
            transitions += len(after)
            for then in after:
                if then not in parents:
                    parents[then] = state
                    queue.append(then)
    finally:
        if collecting:
            gc.enable()
    seen = frozenset(world.seen)
    return Explored(configuration, len(queue), transitions, depth, seen, violation, *world.judged())


def _violation(world: World, path: Sequence[State], properties: tuple[str, ...], said: str) -> Violation:
    return Violation(properties, said, tuple(world.told(path)), unsaid=world.unsaid)


def way_to(state: State, parents: dict[State, State]) -> list[State]:
    """A shortest path from the first state."""
    path = [state]
    while path[-1] != parents[path[-1]]:
        path.append(parents[path[-1]])
    return path[::-1]
