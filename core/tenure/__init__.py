"""tenure: background work that survives crashes.

A worker holds tenure over a process for a term; the term has a number, every write carries it, and the machine that
decides all this does no I/O, so that the code that runs in production is the very code that is model-checked.
"""

from tenure.app import App, Converter, Kind
from tenure.client import Client, Handle
from tenure.context import Context, FencingToken
from tenure.errors import (
    Conflict,
    DuplicateKind,
    EffectKeyReused,
    EffectMismatch,
    ForkedProcess,
    HandlerStopped,
    InvalidTimings,
    InvalidValue,
    LeaseLost,
    Misuse,
    NotJson,
    ProcessCancelled,
    ProcessFailed,
    ProcessNotFound,
    RequestRefused,
    StoreUnavailable,
    StoreUnknown,
    StoreUnusable,
    TenureError,
    TooLarge,
    UndeclaredEvent,
    UnknownKind,
    WaitTimeout,
    WorkerClosed,
    WorkerCrashed,
    WorkerRefused,
)
from tenure.limits import Limits
from tenure.process import Cancelled, Event, Failure, Outcome, Provenance, Record, Registration, Success
from tenure.requests import Phase
from tenure.stores import DurabilityTier, ProcessRegistry
from tenure.timings import LeaseTimings

__all__ = [
    "App",
    "Cancelled",
    "Client",
    "Conflict",
    "Context",
    "Converter",
    "DuplicateKind",
    "DurabilityTier",
    "EffectKeyReused",
    "EffectMismatch",
    "Event",
    "Failure",
    "FencingToken",
    "ForkedProcess",
    "Handle",
    "HandlerStopped",
    "InvalidTimings",
    "InvalidValue",
    "Kind",
    "LeaseLost",
    "LeaseTimings",
    "Limits",
    "Misuse",
    "NotJson",
    "Outcome",
    "Phase",
    "ProcessCancelled",
    "ProcessFailed",
    "ProcessNotFound",
    "ProcessRegistry",
    "Provenance",
    "Record",
    "Registration",
    "RequestRefused",
    "StoreUnavailable",
    "StoreUnknown",
    "StoreUnusable",
    "Success",
    "TenureError",
    "TooLarge",
    "UndeclaredEvent",
    "UnknownKind",
    "WaitTimeout",
    "WorkerClosed",
    "WorkerCrashed",
    "WorkerRefused",
]
