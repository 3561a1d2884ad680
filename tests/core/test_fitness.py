"""B5's checks, once for the attempt machine and for `run_process`: their order, their words, and who can be helped."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tenure.fitness import Check, Misfit, misfit
from tenure.process import External, Provenance, Registration, Work

FAULT = "a durable worker needs a durable attachment store; the configured one is inline"
WORDS = {
    Check.ID: "the process id is empty or blank",
    Check.PROFILE: "the process was made for host profile 'theirs', this worker's is 'ours'",
    Check.TIERS: FAULT,
    Check.EXTERNAL: "process 'p' is external: it is done elsewhere",
    Check.OWNER: "process 'p' names no owner scope, so it has no session to run in",
    Check.KIND: "this worker has no handler of kind 'k'",
}


def found(*wrong: Check, id: str = "", profile: str = "ours") -> Misfit | None:
    """What is found of a process with which exactly these are wrong."""
    return misfit(
        Registration(
            id if Check.ID in wrong else "p",
            External() if Check.EXTERNAL in wrong else Work("k"),
            provenance=Provenance(
                owner_scope="" if Check.OWNER in wrong else "s",
                host_profile_id="theirs" if Check.PROFILE in wrong else profile,
            ),
        ),
        "ours",
        FAULT if Check.TIERS in wrong else "",
        ("j",) if Check.KIND in wrong else ("j", "k"),
    )


def test_a_process_with_which_nothing_is_wrong_fits() -> None:
    assert found() is None
    assert found(profile="") is None


@pytest.mark.parametrize("wrong", list(product([False, True], repeat=len(Check))))
def test_b5_the_first_check_that_is_not_passed_is_told(wrong: tuple[bool, ...]) -> None:
    failed = [check for check, bad in zip(Check, wrong, strict=True) if bad]
    told = found(*failed)
    if failed:
        said = WORDS[failed[0]].replace("'p'", "''" if Check.ID in failed else "'p'")
        assert told == Misfit(failed[0], said)
    else:
        assert told is None


def test_b5_the_order() -> None:
    names = ["id", "profile", "tiers", "external", "owner", "kind"]
    assert [check.value for check in Check] == names
    assert [check.name.lower() for check in Check] == names


@pytest.mark.parametrize("id", ["", " ", "\t\n"])
def test_an_id_is_neither_empty_nor_blank(id: str) -> None:
    assert found(Check.ID, id=id) == Misfit(Check.ID, "the process id is empty or blank")


def test_what_no_worker_can_help_is_permanent_and_nothing_else() -> None:
    """W4: a profile, a tier or a kind that is missing here may be there elsewhere."""
    permanent: list[Any] = [check for check in Check if Misfit(check, "").permanent]
    assert permanent == [Check.ID, Check.OWNER]
