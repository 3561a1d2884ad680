"""The audit holds where everything holds, and fails for each thing that does not, and for that thing only."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenure.process import Failure
from tenure.replies import EffectsRead, Succeeded
from tenure.requests import Complete, ReadEffects
from tenure_cli.demo import command
from tenure_cli.demo.journal import What
from tenure_cli.demo.library import File
from tenure_cli.demo.rounds import register, registration
from tenure_cli.main import cli
from tests.demo.world import World, sound_world

KEYS = [
    "processes",
    "succeeded",
    "failed",
    "cancelled",
    "terminal_events_max_per_process",
    "starts_max_per_token",
    "acquisitions",
    "recovered",
    "fenced_refused",
    "declined_late",
    "effects",
    "effects_repeated",
    "seconds",
    "processes_per_second",
    "store",
    "ok",
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = sound_world(tmp_path)
    yield made
    made.store.close()


def test_a_sound_world(world: World) -> None:
    audited = world.audit()
    assert [finding for finding in audited.findings if finding.fault] == []
    assert audited.ok
    figures = audited.figures
    assert (figures.processes, figures.succeeded, figures.failed, figures.cancelled) == (3, 3, 0, 0)
    assert (figures.terminal_events_max_per_process, figures.starts_max_per_token) == (1, 1)
    assert (figures.acquisitions, figures.recovered) == (5, 2)
    assert (figures.fenced_refused, figures.declined_late) == (1, 1)
    assert (figures.effects, figures.effects_repeated) == (6, 0)


# --- what can be wrong ----------------------------------------------------------------------------------------------


def another_terminal_event_acknowledged(world: World) -> None:
    world.append("w3", What.ENDED, "plain", world.token("plain"), "1234")


def two_terminal_events(world: World) -> None:
    world.tamper(
        "INSERT INTO events SELECT seq, 9, 'process.ended', 'null', 'h:x', token, 1 FROM processes WHERE id = 'plain'"
    )


def no_outcome(world: World) -> None:
    world.tamper("UPDATE processes SET status = NULL, result = NULL, ended_by = NULL WHERE id = 'plain'")
    world.drop("w1", lambda line: line["what"] == "ended")


def a_failure(world: World) -> None:
    register(world.store, [registration(File("bad", "/bad"), 1)])
    fence = world.claim("w3", 9, "bad")
    world.append("w3", What.STARTED, "bad", fence.token)
    world.execute(Complete(fence, Failure("ValueError", "raised", "no")))


def acknowledged_but_not_stored(world: World) -> None:
    world.tamper("UPDATE processes SET version = version + 100 WHERE id = 'plain'")


def two_starts(world: World) -> None:
    world.append("w3", What.STARTED, "plain", world.token("plain"))


def an_outcome_that_no_handler_returned(world: World) -> None:
    world.drop("w1", lambda line: (line["what"], line["process"]) == ("started", "plain"))


def a_start_without_a_claim(world: World) -> None:
    world.append("w3", What.STARTED, "plain", 77)


def a_start_of_an_unknown_process(world: World) -> None:
    world.append("w3", What.STARTED, "nobody", 77)


def nothing_recovered(world: World) -> None:
    world.drop("w1", lambda line: line["process"] == "lost")
    world.drop("w2", lambda line: line["process"] == "late")
    world.append("w1", What.EFFECT_BEGUN, "lost", first_token(world, "lost"), "read")
    world.tamper("UPDATE processes SET claims = 1")


def nothing_fenced(world: World) -> None:
    world.tamper("DELETE FROM fence_log", "UPDATE meta SET fenced = 0")


def no_complete_fenced(world: World) -> None:
    world.tamper("UPDATE fence_log SET request = 'Renew'")


def an_effect_missing(world: World) -> None:
    world.tamper("DELETE FROM effects WHERE key = 'read' AND process = (SELECT min(process) FROM effects)")


def an_effect_too_many(world: World) -> None:
    world.tamper(
        "INSERT INTO effects SELECT process, 'third', fingerprint, result, token, version FROM effects "
        "WHERE key = 'read' AND process = (SELECT min(process) FROM effects)"
    )
    world.append("w1", What.EFFECT_BEGUN, "plain", world.token("plain"), "third")


def an_effect_that_never_began(world: World) -> None:
    world.drop(
        "w1", lambda line: (line["what"], line["process"], line["key"]) == ("effect_begun", "plain", "read")
    )


def an_effect_begun_twice_under_its_token(world: World) -> None:
    world.append("w1", What.EFFECT_BEGUN, "plain", world.token("plain"), "read")


def an_effect_begun_again_by_a_later_attempt(world: World) -> None:
    world.append("w3", What.EFFECT_BEGUN, "lost", world.token("lost"), "read")


def a_line_that_nobody_wrote(world: World) -> None:
    with world.journal("w1").open("ab") as file:
        file.write(b'{"what": "started"\n')


def first_token(world: World, process: str) -> int:
    """The token under which the process's first effect was recorded."""
    answer = world.execute(ReadEffects(process))
    assert isinstance(answer, Succeeded)
    assert isinstance(answer.reply, EffectsRead)
    return {effect.key: effect for effect in answer.reply.effects}["read"].token


TERMINALS = "terminal events per process, at most"
STANDS = "acknowledged outcomes that do not stand"
PLANTS: list[tuple[Callable[[World], None], set[str]]] = [
    (no_outcome, {"processes that ended"}),
    (a_failure, {"failures"}),
    (another_terminal_event_acknowledged, {TERMINALS, STANDS}),
    (two_terminal_events, {TERMINALS}),
    (acknowledged_but_not_stored, {STANDS}),
    (two_starts, {"handler starts per (process, token), at most"}),
    (an_outcome_that_no_handler_returned, {"outcomes without a start under their token"}),
    (a_start_without_a_claim, {"acquisitions"}),
    (a_start_of_an_unknown_process, {"acquisitions"}),
    (nothing_recovered, {"processes recovered"}),
    (nothing_fenced, {"fenced writes refused"}),
    (no_complete_fenced, {"fenced writes refused"}),
    (an_effect_missing, {"effects recorded"}),
    (an_effect_too_many, {"effects recorded"}),
    (an_effect_that_never_began, {"effects recorded"}),
    (an_effect_begun_twice_under_its_token, {"effects repeated"}),
    (an_effect_begun_again_by_a_later_attempt, {"effects repeated"}),
    (a_line_that_nobody_wrote, {"files that cannot be read"}),
]


@pytest.mark.parametrize(("plant", "names"), PLANTS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_planted_is_found(world: World, plant: Callable[[World], None], names: set[str]) -> None:
    plant(world)
    audited = world.audit()
    assert not audited.ok
    assert {finding.name for finding in audited.findings if finding.fault} == names


def test_a_torn_last_line_is_legal(world: World) -> None:
    with world.journal("w1").open("ab") as file:
        file.write(b'{"what": "started", "proc')
    assert world.audit().ok


def test_a_line_of_a_writer_that_went_on_after_a_torn_one_is_not(world: World) -> None:
    with world.journal("w1").open("ab") as file:
        file.write(b'{"what": "started", "proc')
    world.append("w1", What.DECLINED, "plain", 1)
    assert not world.audit().ok


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def unplayed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`tenure demo` without the demo: what is left is the audit of what it finds."""

    def play(store: object, url: str, folder: Path, input_: object) -> None:
        pass

    monkeypatch.setattr(command, "_play", play)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("unplayed")
def test_the_one_json_object_and_exit_0(world: World) -> None:
    result = CliRunner().invoke(cli, ["demo", "--store", world.url, "--json"])
    assert result.exit_code == 0, result.stderr
    body = json.loads(result.stdout)
    assert list(body) == KEYS
    assert (body["processes"], body["ok"], body["store"]) == (3, True, world.url)
    assert str(world.folder) in result.stderr


@pytest.mark.usefixtures("unplayed")
def test_exit_1_where_the_audit_does_not_hold(world: World) -> None:
    two_starts(world)
    result = CliRunner().invoke(cli, ["demo", "--store", world.url, "--json"])
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)
    assert json.loads(result.stdout)["starts_max_per_token"] == 2


@pytest.mark.usefixtures("unplayed")
def test_the_report_for_people(world: World) -> None:
    sound = CliRunner().invoke(cli, ["demo", "--store", world.url])
    assert sound.exit_code == 0, sound.stderr
    for words in (world.url, "6 lines", "self 9", "The audit holds"):
        assert words in sound.stdout
    two_starts(world)
    unsound = CliRunner().invoke(cli, ["demo", "--store", world.url])
    assert unsound.exit_code == 1
    assert "started twice: plain" in unsound.stdout
    assert "does NOT hold" in unsound.stdout


@pytest.mark.usefixtures("unplayed")
def test_two_demos_on_one_store_are_refused(world: World) -> None:
    with command.alone(world.folder):
        result = CliRunner().invoke(cli, ["demo", "--store", world.url])
    assert result.exit_code == 3
    assert "another demo" in result.stderr


@pytest.mark.usefixtures("unplayed")
@pytest.mark.parametrize(("url", "code"), [("memory:", 2), ("sqlite:///no/such/demo.db", 4), ("demo.db", 2)])
def test_a_store_that_the_demo_cannot_use(url: str, code: int) -> None:
    result = CliRunner().invoke(cli, ["demo", "--store", url])
    assert (result.exit_code, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
