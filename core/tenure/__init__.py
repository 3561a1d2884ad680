"""tenure: background work that survives crashes.

A worker holds tenure over a process for a term; the term has a number, every write carries it, and the machine that
decides all this does no I/O, so that the code that runs in production is the very code that is model-checked.
"""
