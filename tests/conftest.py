"""Hypothesis profiles: `default` for `make test`, `verify` for `make verify`, `matrix` for `make kill-matrix`; the
option that rewrites traces; and what a failure says about the properties it breaks (`tests.keeping`)."""

import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.keeping import pytest_runtest_makereport

__all__ = ["pytest_addoption", "pytest_runtest_makereport"]

# No deadline: a busy machine must not turn a slow example into a failure, and no test asserts speed.
# The same examples on every run, so that nobody meets by chance what another change has nothing to do with.
settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("verify", settings.get_profile("default"), derandomize=False, max_examples=2_000)
# The same examples on every run, not made smaller, since each bug runs them all; and none kept, since one bug's example
# must not find another bug.
settings.register_profile(
    "matrix", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("default")

# A shell starts what it runs in the background with SIGINT ignored, and tests that press Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write the traces' output anew; commit the changes only if you understand them",
    )
