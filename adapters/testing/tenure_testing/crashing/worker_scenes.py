"""In what a worker is interrupted: scenes in a world of virtual time, each with an end that no crash changes."""

from __future__ import annotations

from functools import partial

from tenure.process import own_session
from tenure_testing.crashing.stage import HANDLING, Fair, Scene, Stage


def _runs(stage: Stage) -> None:
    stage.start("work", "p")
    stage.start("work", "q")
    stage.employ()
    stage.world.run_for(HANDLING + 5)


def _runs_plainly(stage: Stage) -> None:
    stage.start("plain", "p")
    stage.employ()
    stage.world.run_for(HANDLING + 5)


def _fails(stage: Stage) -> None:
    stage.employ()
    stage.start("fails", "p")
    stage.world.run_for(5)


def _endless(stage: Stage) -> None:
    stage.employ()
    stage.start("endless", "p")
    stage.world.run_for(15)


def _cancelled(stage: Stage) -> None:
    handle = stage.start("work", "p")
    stage.employ()
    stage.world.run_for(5)
    handle.cancel("enough")
    stage.world.run_for(5)


def _drained(stage: Stage) -> None:
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(5)
    worker.drain(grace=2)
    stage.world.run_for(15)


def _takes_over(stage: Stage) -> None:
    stage.start("work", "p")
    before = stage.another("before")
    stage.world.run_for(5)
    before.crash()
    stage.employ()
    stage.world.run_for(60)


def _loses_its_lease(stage: Stage) -> None:
    """Everything stood still for longer than the lease lasted; when it wakes, somebody else has the process."""
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(5)
    worker.pause(40)
    stage.another("other")
    stage.world.run_for(60)


def _writes_too_late(stage: Stage) -> None:
    """An effect's result waits behind a claim under way when everything stands still: when it may go, it is too late
    (S14)."""
    stage.start("work", "p")
    worker = stage.employ()
    stage.world.run_for(HANDLING + 1)
    stage.start("work", "q")
    stage.world.run_for(1)
    worker.pause(40)
    stage.another("other")
    stage.world.run_for(60)


def _listens(stage: Stage) -> None:
    """It comes while the handler waits. (In others it is there before.)"""
    stage.start("listens", "p")
    stage.employ()
    stage.world.run_for(3)
    stage.append("p", "go")
    stage.world.run_for(3)


def _has_a_child(stage: Stage) -> None:
    stage.start("parent", "p")
    stage.employ()
    stage.world.run_for(3)


def _takes_notes(stage: Stage) -> None:
    stage.start("notes", "p")
    stage.employ()
    stage.world.run_for(HANDLING + 3)


def _takes_notes_for_another(stage: Stage) -> None:
    """The owner's session is opened before the handler starts (B7)."""
    stage.start("notes", "p", owner="team")
    stage.employ()
    stage.world.run_for(HANDLING + 3)


def _takes_notes_plainly(stage: Stage) -> None:
    stage.start("plain notes", "p", owner="team")
    stage.employ()
    stage.world.run_for(3)
    stage.append("p", "go")
    stage.world.run_for(HANDLING + 3)


def _takes_notes_over(stage: Stage) -> None:
    stage.start("notes", "p")
    before = stage.another("before")
    stage.world.run_for(5)
    before.crash()
    stage.employ()
    stage.world.run_for(50)


def _takes_notes_too_late(stage: Stage) -> None:
    """When the worker wakes, another has opened the session, and is in the middle of it (CONTRACT §8). Nobody can stop
    a plain handler: it goes on to write."""
    stage.start("plain notes", "p", owner="team")
    stage.append("p", "go")
    worker = stage.employ()
    stage.world.run_for(5)
    worker.pause(33)
    stage.another("other")
    stage.world.run_for(60)


def _is_cancelled_before_it_starts(stage: Stage) -> None:
    """Its session is being opened when the process is cancelled."""
    handle = stage.start("work", "p", owner="team")
    stage.employ()
    stage.world.run_for(1)
    handle.cancel("enough")
    stage.world.run_for(8)


def _attaches(stage: Stage) -> None:
    stage.start("attaches", "p")
    stage.employ()
    stage.world.run_for(3)


WORKER_SCENES = (
    Scene("two processes run to their end", _runs),
    Scene("a plain handler", _runs_plainly),
    Scene("a handler fails", _fails),
    Scene("a handler exceeds max_run", _endless),
    Scene("a process is cancelled while it runs", _cancelled),
    Scene("the worker drains while a process runs", _drained),
    Scene("a process is taken over", _takes_over),
    Scene("the worker becomes a zombie", _loses_its_lease),
    Scene("the answer to the last write is lost", _runs_plainly, partial(Fair, loses=1)),
    Scene("a write waits while the worker stands still", _writes_too_late, partial(Fair, slow=True)),
    Scene("a handler waits for an event", _listens),
    Scene("a handler waits for another process", _has_a_child),
    Scene("a handler writes to its session", _takes_notes, sessions=(own_session("p"),)),
    Scene("a handler writes to its owner's session", _takes_notes_for_another, sessions=("team",)),
    Scene("a plain handler writes to its owner's session", _takes_notes_plainly, sessions=("team",)),
    Scene("a session is taken over", _takes_notes_over, sessions=(own_session("p"),)),
    Scene("a zombie writes to its session", _takes_notes_too_late, sessions=("team",)),
    Scene("a process is cancelled before its start", _is_cancelled_before_it_starts, partial(Fair, lags=3.0)),
    Scene("a handler attaches bytes", _attaches),
)
