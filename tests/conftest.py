"""Hypothesis profiles: `default` for `make test`, `verify` for `make verify`; and the option that rewrites traces."""

import pytest
from hypothesis import settings

# No deadline: a busy machine must not turn a slow example into a failure, and no test asserts speed.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("verify", settings.get_profile("default"), max_examples=2_000)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write the traces' output anew; commit the changes only if you understand them",
    )
