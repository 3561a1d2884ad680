"""The driver: the only place with clocks, threads and randomness. It runs the machines over a store for any loop."""

from tenure_driver.blocking import BlockingClient, BlockingContext, BlockingHandle
from tenure_driver.connection import connect
from tenure_driver.deployments import durable_config, in_memory_host
from tenure_driver.direct import DirectOptions, directly, run_process
from tenure_driver.gone import reply_of
from tenure_driver.jobs import Job
from tenure_driver.options import Options, Tap, WorkerOptions
from tenure_driver.rebuilding import AwaitStart
from tenure_driver.runner import ASIDE, Loop, Runner, Spawned, Store, What
from tenure_driver.seams import Seams, Shell
from tenure_driver.stores import open_store
from tenure_driver.worker import AsyncLoop, Worker, connected, working

__all__ = [
    "ASIDE",
    "AsyncLoop",
    "AwaitStart",
    "BlockingClient",
    "BlockingContext",
    "BlockingHandle",
    "DirectOptions",
    "Job",
    "Loop",
    "Options",
    "Runner",
    "Seams",
    "Shell",
    "Spawned",
    "Store",
    "Tap",
    "What",
    "Worker",
    "WorkerOptions",
    "connect",
    "connected",
    "directly",
    "durable_config",
    "in_memory_host",
    "open_store",
    "reply_of",
    "run_process",
    "working",
]
