"""The `tenure` command: workers, what a client can ask, and the demo. The only place where signals are handled."""
