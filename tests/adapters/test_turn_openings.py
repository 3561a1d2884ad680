"""The driver's body and what a loop opens around a process before its handler starts (B7), in virtual time."""

from __future__ import annotations

import pytest

from tenure.asks import Submit
from tenure.attempt_types import OpenSession, StartHandler, Terms
from tenure.process import Provenance, Registration, Work
from tenure.replies import Got, Succeeded
from tenure.requests import Get, Register, RequestCancel
from tenure.timings import LeaseTimings
from tenure.worker_types import WorkerTerms
from tenure_driver.messages import Asked, Inbound, Opened, OpeningFault, OpeningOver, Outbox
from tenure_driver.openings import Opens
from tenure_driver.turn import Driver
from tests.adapters.turns import SECOND, World


class OpeningWorld(World):
    """A worker whose loop opens what it is told to."""

    def __init__(self, opens: Opens) -> None:
        self.opening: list[OpenSession] = []
        self.over: list[int] = []
        super().__init__()
        terms = WorkerTerms("owner", Terms(LeaseTimings(), "", ("work",)), 10, 10, SECOND)
        self.driver = Driver(terms, self.now, lambda: 0, opens=opens)
        self.turn()

    def turn(self, *inbox: Inbound) -> Outbox:
        box = super().turn(*inbox)
        self.opening += [one for one in box.loop if isinstance(one, OpenSession)]
        self.over += [one.token for one in box.loop if isinstance(one, OpeningOver)]
        return box

    def registered(self, process_id: str, owner: str = "scope") -> None:
        """A process is registered, and claimed here."""
        registration = Registration(process_id, Work("work"), (), Provenance(owner))
        self.turn(Asked(len(self.replies) + 1, Submit(Register(registration), 30)))
        self.settle()


def started(world: World) -> list[str]:
    return [start.grant.record.id for start in world.starts]


def test_a_handler_starts_once_the_session_of_its_owner_is_open() -> None:
    """B7, S12: not before the loop has said so; and then nothing is over, so that nobody stops the handler."""
    world = OpeningWorld(Opens.OWNERS)
    world.registered("a")
    (opening,) = world.opening
    assert (opening.process_id, opening.owner_scope, started(world)) == ("a", "scope", [])
    world.turn(Opened(opening.id))
    assert started(world) == ["a"]
    world.turn()
    assert world.over == []


@pytest.mark.parametrize(
    ("opens", "owner", "opened"),
    [
        (Opens.NONE, "scope", 0),
        (Opens.OWNERS, "process:a", 0),
        (Opens.OWNERS, "process:b", 1),
        (Opens.ALL, "process:a", 1),
        (Opens.ALL, "scope", 1),
    ],
)
def test_what_is_not_opened_is_not_waited_for(opens: Opens, owner: str, opened: int) -> None:
    """B7; a process's own session is opened at its first use, unless something has to be started around it."""
    world = OpeningWorld(opens)
    world.registered("a", owner)
    assert len(world.opening) == opened
    assert started(world) == ["a"] * (1 - opened)


def test_what_was_opened_for_an_attempt_that_ended_is_closed_once() -> None:
    """B7: a cancel comes with the next renewal, and nothing that was begun for the process stays open."""
    world = OpeningWorld(Opens.OWNERS)
    world.registered("a")
    world.registered("b")
    first, second = world.opening
    assert isinstance(world.applied(RequestCancel("a")), Succeeded)
    end = world.now + 11 * SECOND
    while world.now < end:
        world.pass_time(SECOND)
        world.settle()
    assert world.over == [first.token]
    world.turn(Opened(second.id))
    assert started(world) == ["b"]


@pytest.mark.parametrize(("permanent", "failed"), [(False, False), (True, True)])
def test_a_session_that_cannot_be_opened_starts_nothing(*, permanent: bool, failed: bool) -> None:
    """W4, CONTRACT §7: what may pass gives the process back; what nobody can change fails it."""
    world = OpeningWorld(Opens.OWNERS)
    world.registered("a")
    world.turn(Opened(world.opening[0].id, OpeningFault(permanent, "why")))
    world.settle()
    read = world.applied(Get("a"))
    assert isinstance(read, Succeeded)
    assert isinstance(read.reply, Got)
    assert (read.reply.record.outcome is not None) is failed
    assert not any(isinstance(one, StartHandler) for one in world.box.loop)
    assert started(world) == []
