"""Traces of what stores and workers did, and the properties read off them again.

`recording` writes a trace: one JSON value a line, each request with its answer, and of a worker also which handlers
started and ended. `verify` takes the traces of any number of workers and stores and says which of S1-S23 hold, in time
linear in the number of lines: every accepted change has a version, versions have one order, and in that order each
change must be one that the law allows on the row as the changes before it left it. No search for an order is needed,
and no rule of the core is used: what is judged here is judged by code of its own.
"""

from tenure_testing.histories.recording import RecordingStore, TraceTap
from tenure_testing.histories.verifying import Report, verify

__all__ = ["RecordingStore", "Report", "TraceTap", "verify"]
