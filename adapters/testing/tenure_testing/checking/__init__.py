"""The checker: every behaviour of small configurations of the shipped core, to the fixpoint, without a bound on depth.

    explore(configuration) -> Explored      states, transitions, depth, what was seen, and the violation if there is one
    measured(configuration) -> Explored     the same with seconds of CPU and MiB
    digest(configuration) -> str            SHA-256 of the labelled transition graph
    CONFIGURATIONS, GATE, LARGE, named(NAME), shrunk(configuration)
    Violation.lines(), .path, .as_trace()   the shortest counterexample: as text, as steps (who, what, to whom, note),
                                            and as far as its words can say it, as a file of `tests/traces`
    variants.counterexample("W1")           the same for a rule of the original that is put back
    law_of(configuration) -> Law            all distinct (registry, request) -> (registry, answer), and their graph

What is explored is whatever `tenure` modules are imported: a patched or mutated core is checked as it is. The package
imports the core and the standard library only. Read in this order: `rows` (the law over one row), `attempts` (a
worker), `world` (their product), `explorer` (the search), `properties` and `steps` (what must hold); then `sessions`,
`session_world` and `session_properties` (a session beside the row), `fleet` (one worker machine with several slots),
`timed` (bounded drift), `liveness` (what must come about once faults stop). `golden.json` has the counts that each
configuration is pinned to; `tenure check` compares with it.
"""

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.configurations import CONFIGURATIONS, GATE, LARGE, law_of, named, shrunk
from tenure_testing.checking.digest import digest
from tenure_testing.checking.explorer import Broken, Explored, Move, Violation, World, explore, explore_world
from tenure_testing.checking.measuring import measured

__all__ = [
    "CONFIGURATIONS",
    "GATE",
    "LARGE",
    "Broken",
    "Configuration",
    "Explored",
    "Move",
    "Violation",
    "World",
    "digest",
    "explore",
    "explore_world",
    "law_of",
    "measured",
    "named",
    "shrunk",
]
