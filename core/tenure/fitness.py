"""Whether a worker can run a process: B5's checks, in their order, once. The attempt machine makes endings of what
they find, `run_process` makes exceptions of it."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from attrs import frozen

from tenure.process import External, Registration


class Check(Enum):
    """What was looked at, in this order; the last is what the plugins can run, and no part of B5."""

    ID = "id"
    PROFILE = "profile"
    TIERS = "tiers"
    EXTERNAL = "external"
    OWNER = "owner"
    KIND = "kind"


@frozen
class Misfit:
    """The first check that a process does not pass, and what is to be said of it."""

    check: Check
    message: str

    @property
    def permanent(self) -> bool:
        """Whether no worker anywhere can run the process; what is not permanent is tried elsewhere, or later (W4)."""
        return self.check in (Check.ID, Check.OWNER)


def misfit(
    registration: Registration, profile: str, tier_fault: str, kinds: Collection[str]
) -> Misfit | None:
    """What keeps a worker of that host profile, with these tiers and kinds, from running the process; None where
    nothing does. `tier_fault` is B6's message, empty where the tiers suffice."""
    wanted = registration.provenance.host_profile_id
    if not registration.id or registration.id.isspace():
        return Misfit(Check.ID, "the process id is empty or blank")
    if wanted not in ("", profile):
        said = f"the process was made for host profile {wanted!r}, this worker's is {profile!r}"
        return Misfit(Check.PROFILE, said)
    if tier_fault:
        return Misfit(Check.TIERS, tier_fault)
    if isinstance(registration.input, External):
        return Misfit(Check.EXTERNAL, f"process {registration.id!r} is external: it is done elsewhere")
    if not registration.provenance.owner_scope:
        said = f"process {registration.id!r} names no owner scope, so it has no session to run in"
        return Misfit(Check.OWNER, said)
    if registration.kind not in kinds:
        return Misfit(Check.KIND, f"this worker has no handler of kind {registration.kind!r}")
    return None
