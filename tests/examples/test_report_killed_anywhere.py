"""docs/examples/report.py killed before and after each call that it makes to a store or to its library: another attempt
has to come to the same end, and to repeat nothing that was recorded."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from itertools import count
from types import ModuleType
from typing import Any, TypeVar

import pytest

import tenure_driver
from tenure import HeldLease, Plugin
from tenure.process import ClaimId, Outcome, Registration, Success
from tenure.replies import Claimed, EffectsRead, Got, Succeeded
from tenure.requests import Claim, Complete, Get, ReadEffects, Request
from tenure_driver import BlockingClient
from tenure_driver.deployments import config_of
from tests.adapters import stores
from tests.docs.pages import ROOT

T = TypeVar("T")

TTL = 30_000
TOPICS = ["lease", "token", "zombie"]


def loaded() -> ModuleType:
    """The example, imported."""
    spec = importlib.util.spec_from_file_location("report", ROOT / "docs" / "examples" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = loaded()


class Killed(BaseException):
    """The end of a program, as far as one can be played: nobody catches it."""


class Scene:
    """One report, on a store of its own. `points`: how many boundaries its last attempt met."""

    def __init__(self) -> None:
        self.clock, self.points, self._numbers = stores.Clock(), 0, count(1)
        self.registry = stores.memory(self.clock)
        library = EXAMPLE.Library(ROOT / "docs" / "examples" / "library")
        self.config = config_of(
            self.registry, EXAMPLE.app, Plugin("library", {}, library.opened, library.lent)
        )

    def reply(self, request: Request, kind: type[T]) -> T:
        (answer,) = self.registry.execute([request])
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, kind)
        return answer.reply

    @property
    def registration(self) -> Registration:
        return self.reply(Get("anna-1"), Got).record.registration

    def recorded(self) -> set[str]:
        """The keys of the effects that are recorded."""
        return {effect.key for effect in self.reply(ReadEffects("anna-1"), EffectsRead).effects}

    def attempt(self, killed_at: int = 0) -> Outcome:
        """Claim and run it. Raises Killed at that boundary, counted from 1: each call has one before and one after."""
        self.clock.expire_leases()
        claimed = self.reply(Claim(ClaimId("me", next(self._numbers)), "anna-1", TTL), Claimed)
        lease = HeldLease(claimed.grants[0], claimed.epoch)
        self.points = 0

        def met() -> None:
            self.points += 1
            if self.points == killed_at:
                raise Killed

        async def in_thread(call: Callable[[], T]) -> T:
            met()
            value = call()
            met()
            return value

        outcome = asyncio.run(tenure_driver.directly(self.config, self.registration, in_thread, lease=lease))
        self.reply(Complete(lease.grant.fence, outcome), object)
        return outcome

    def ended(self, client: BlockingClient) -> dict[str, Any]:
        """All that is to be seen of it in the end, but for times and tokens."""
        answered = client.session("anna").path[-1].value["artifact"]
        return {
            "outcome": client.get("anna-1").outcome,
            "said": [entry.value for entry in client.session("anna")],
            "artifact": client.artifacts.get(answered),
            "events": [
                (event.type, event.value) for event in client.events("anna-1") if event.type != "approved"
            ],
            "told": [event.value for event in client.events(owner="anna")],
        }


def asked(client: BlockingClient) -> None:
    """Ask for a report, approve it, and say something else."""
    session = client.session("anna")
    entry = session.append({"from": "you", "text": "What is a lease, a token and a zombie?"})
    client.start(EXAMPLE.report, EXAMPLE.Question(entry.id), id="anna-1", owner="anna")
    client.append("anna-1", "approved", {"by": "me"}, key="approved")
    session.append({"from": "you", "text": "And what is an outcome?"})


def reads(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The texts that were read since this was last asked."""
    return [line.split()[-1] for line in capsys.readouterr().err.splitlines()]


def test_wherever_it_is_killed_the_end_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    with tenure_driver.connect(scene.registry) as client:
        asked(client)
        assert isinstance(scene.attempt(), Success)
        expected = scene.ended(client)
    assert reads(capsys) == TOPICS
    assert scene.recorded() == {"search", *(f"fetch {topic}" for topic in TOPICS)}
    assert [said["from"] for said in expected["said"]] == ["you", "you", "anna-1"]
    points = scene.points
    assert points > 50
    cut_short = set[str]()
    for point in range(1, points + 1):
        scene = Scene()
        with tenure_driver.connect(scene.registry) as client:
            asked(client)
            with pytest.raises(Killed):
                scene.attempt(point)
            first, recorded = reads(capsys), scene.recorded()
            assert isinstance(scene.attempt(), Success), point
            again = reads(capsys)
            assert [topic for topic in again if f"fetch {topic}" in recorded] == [], point
            assert set(first) | set(again) == set(TOPICS), point
            cut_short.update(set(first) & set(again))
            assert scene.ended(client) == expected, point
    assert cut_short == set(TOPICS)  # each of them was killed in its middle, too
