"""Crashes at every boundary: a store or a worker is stopped exactly there, something recovers, and the law is asked.

`points` says what a boundary is; `store_points` enumerates those of a store, `worker_points` those of a worker.
"""
