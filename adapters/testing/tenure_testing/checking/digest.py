"""What a configuration's whole graph comes to, in one line of 64 digits.

The graph follows from what the core answers: each state is made of rows and attempts, and each transition is one
answer of the law or one step of a machine. So the digest is over these, in words: every distinct request to every
distinct row with its answer, every distinct step with its commands, reports and refusals, and how many states and
transitions they make. Two cores with one digest do the same in all of the configuration's behaviours.
"""

from __future__ import annotations

from hashlib import sha256

from tenure_testing.checking.configuration import Configuration
from tenure_testing.checking.explorer import Violation, explore_world


def digest(configuration: Configuration) -> str:
    """SHA-256 of the labelled transition graph, as hex; it has no addresses in it and does not depend on
    PYTHONHASHSEED. A core that breaks a property has one as well, of what was explored until then."""
    world = configuration.world(configuration)
    explored = explore_world(configuration, world)
    told = sha256(f"{explored.states} {explored.transitions} {explored.depth}\n".encode())
    for line in world.tables():
        told.update(f"{line}\n".encode())
    if isinstance(explored.violation, Violation):
        told.update("\n".join(explored.violation.lines()).encode())
    return told.hexdigest()
