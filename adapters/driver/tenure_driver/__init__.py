"""The driver: the only place with clocks, threads and randomness. It runs the machines over a store for any loop."""

from tenure_driver.blocking import BlockingClient, BlockingContext, BlockingHandle
from tenure_driver.connection import connect
from tenure_driver.options import Options, Tap, WorkerOptions
from tenure_driver.runner import Job, Loop, Runner, reply_of
from tenure_driver.seams import Seams, Shell
from tenure_driver.stores import open_store
from tenure_driver.worker import AsyncLoop, Worker, connected, working

__all__ = [
    "AsyncLoop",
    "BlockingClient",
    "BlockingContext",
    "BlockingHandle",
    "Job",
    "Loop",
    "Options",
    "Runner",
    "Seams",
    "Shell",
    "Tap",
    "Worker",
    "WorkerOptions",
    "connect",
    "connected",
    "open_store",
    "reply_of",
    "working",
]
