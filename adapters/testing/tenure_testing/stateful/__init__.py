"""Machines for Hypothesis, to be subclassed: a store beside the reference model, a handler among faults."""

from tenure_testing.stateful.handler_machine import HandlerMachine, Started
from tenure_testing.stateful.judge import Broken
from tenure_testing.stateful.registry_machine import RegistryMachine

__all__ = ["Broken", "HandlerMachine", "RegistryMachine", "Started"]
