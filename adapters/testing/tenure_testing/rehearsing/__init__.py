"""Rehearsing an application: its handlers run in virtual time, and meet whatever a test has happen."""

from tenure_testing.playing import block, pass_time, sleep
from tenure_testing.rehearsing.crashes import Survived, crash_at_every_effect
from tenure_testing.rehearsing.foreign import ForeignAwait
from tenure_testing.rehearsing.world import RehearsedWorld, Start

__all__ = [
    "ForeignAwait",
    "RehearsedWorld",
    "Start",
    "Survived",
    "block",
    "crash_at_every_effect",
    "pass_time",
    "sleep",
]
