"""A world in virtual time for tests: `World` has the idea."""

from tenure_testing.playing.clocks import LocalClock, StoreClock
from tenure_testing.playing.host import Host
from tenure_testing.playing.network import BUSY, FAIR, NO_ANSWER, UNREACHABLE, Fate, Rule, Weather
from tenure_testing.playing.observing import Execution, Observer
from tenure_testing.playing.stores import Make, PlayedStore
from tenure_testing.playing.strands import pass_time
from tenure_testing.playing.tasks import Cancelled, Task, block, sleep
from tenure_testing.playing.world import Stuck, World

__all__ = [
    "BUSY",
    "FAIR",
    "NO_ANSWER",
    "UNREACHABLE",
    "Cancelled",
    "Execution",
    "Fate",
    "Host",
    "LocalClock",
    "Make",
    "Observer",
    "PlayedStore",
    "Rule",
    "StoreClock",
    "Stuck",
    "Task",
    "Weather",
    "World",
    "block",
    "pass_time",
    "sleep",
]
