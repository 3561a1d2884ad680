"""start, list, show, cancel, events and wait: what they print, as text and as JSON, and with which code they exit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tenure.canonical import Json, canonical
from tenure.process import External, Failure, Registration, Success
from tenure.requests import EmitEvent, Register
from tests.cli.commanding import claimed, completed, execute, module, shown, tenure

APP = ["import tenure", "app = tenure.App()", "@app.process('known')", "def known(ctx): ..."]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path}/jobs.db"


def start(store: str, kind: str, *arguments: str) -> str:
    result = tenure("start", kind, *arguments, store=store)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_start_prints_the_id_and_nothing_else(store: str) -> None:
    assert tenure("start", "resize", '{"url": "x"}', "--id", "one", store=store).output == "one\n"
    made = start(store, "resize")
    assert len(made) == 32
    assert [p["id"] for p in shown("list", store=store)["processes"]] == ["one", made]


def test_the_store_is_an_option_as_well(store: str) -> None:
    assert tenure("start", "resize", "--id", "one", "--store", store).exit_code == 0
    assert shown("show", "one", store=store)["kind"] == "resize"


def test_start_as_json(store: str) -> None:
    assert shown("start", "resize", "--id", "one", store=store) == {"id": "one", "kind": "resize"}


def test_the_payload_may_come_from_stdin(store: str) -> None:
    result = tenure("start", "resize", "-", "--id", "one", store=store, stdin='{"url": "ü"}\n')
    assert result.exit_code == 0
    assert shown("show", "one", store=store)["payload"] == {"url": "ü"}


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        (["resize", "-5"], -5),
        (["resize", "-5", "--delay", "0"], -5),
        (["--delay", "0", "resize", "-1.5e3", "--owner", "-7"], -1500.0),
        (["--owner", "-7", "resize"], None),
        (["resize", "--", "-5"], -5),
        (["--", "resize", "-5"], -5),
    ],
)
def test_a_negative_number_is_a_payload_and_no_option(
    store: str, arguments: list[str], payload: object
) -> None:
    assert tenure("start", "--id", "one", *arguments, store=store).output == "one\n"
    one = shown("show", "one", store=store)
    assert (one["kind"], one["payload"]) == ("resize", payload)
    assert one["owner"] == ("-7" if "-7" in arguments else "process:one")


def test_the_same_start_again_is_the_same_process_and_another_is_refused(store: str) -> None:
    start(store, "resize", "1", "--id", "one")
    assert start(store, "resize", "1", "--id", "one") == "one"
    result = tenure("start", "resize", "2", "--id", "one", store=store)
    assert result.exit_code == 3
    assert "'one'" in result.stderr
    assert len(shown("list", store=store)["processes"]) == 1


def test_show_has_everything_that_was_started(store: str) -> None:
    start(store, "resize", "[1, null]", "--id", "one", "--emits", "progress", "--emits", "made")
    start(store, "resize", "--id", "two", "--owner", "session:9", "--profile", "gpu", "--delay", "60")
    one, two = shown("show", "one", store=store), shown("show", "two", store=store)
    moments = {name: one.pop(name) for name in ("changed_at", "ready_at")}
    assert all(isinstance(moment, int) for moment in moments.values())
    assert one == {
        "id": "one",
        "kind": "resize",
        "phase": "pending",
        "external": False,
        "payload": [1, None],
        "emits": ["progress", "made"],
        "owner": "process:one",
        "profile": "",
        "attempts": 0,
        "lost": 0,
        "token": 0,
        "holder": None,
        "expires_at": None,
        "cancel_requested": None,
        "events": 0,
        "outcome": None,
        "ended_by": None,
        "authority": None,
    }
    assert (two["owner"], two["profile"]) == ("session:9", "gpu")
    assert two["ready_at"] - two["changed_at"] == 60_000


def test_show_tells_a_running_process_from_one_whose_lease_expired(store: str) -> None:
    start(store, "a", "--id", "held")
    start(store, "b", "--id", "expired")
    fence = claimed(store, "a")
    claimed(store, "b", ttl=0)
    held, expired = shown("show", "held", store=store), shown("show", "expired", store=store)
    assert (held["phase"], held["holder"], held["token"]) == ("running", "somebody", fence.token)
    assert held["expires_at"] > held["changed_at"]
    assert (expired["phase"], expired["holder"], expired["expires_at"]) == ("pending", None, None)
    assert [p["phase"] for p in shown("list", store=store)["processes"]] == ["running", "pending"]


def test_show_for_people(store: str) -> None:
    start(store, "resize", '{"url": "x"}', "--id", "one")
    lines = dict(line.split(None, 1) for line in tenure("show", "one", store=store).stdout.splitlines())
    assert lines["id"] == "one"
    assert lines["payload"] == '{"url": "x"}'
    assert lines["phase"] == "pending"
    assert "outcome" not in lines


def test_list_filters_and_pages(store: str) -> None:
    for number in range(5):
        start(store, "even" if number % 2 == 0 else "odd", "--id", f"p{number}", "--owner", f"s{number}")
    completed(store, "odd", Success(Json("1")))

    def ids(*arguments: str) -> list[str]:
        return [p["id"] for p in shown("list", *arguments, store=store)["processes"]]

    assert ids("--kind", "even") == ["p0", "p2", "p4"]
    assert ids("--owner", "s3") == ["p3"]
    assert ids("--phase", "ended") == ["p1"]
    assert ids("--phase", "pending", "--kind", "odd") == ["p3"]
    assert ids("--phase", "running") == []
    first = shown("list", "--limit", "3", store=store)
    assert [p["id"] for p in first["processes"]] == ["p0", "p1", "p2"]
    second = shown("list", "--limit", "3", "--after", str(first["next"]), store=store)
    assert ([p["id"] for p in second["processes"]], second["next"]) == (["p3", "p4"], None)


def test_list_for_people_says_that_there_is_more(store: str) -> None:
    start(store, "resize", "--id", "one")
    start(store, "resize", "--id", "two")
    result = tenure("list", "--limit", "1", store=store)
    head, row = result.stdout.splitlines()
    assert head.split() == ["ID", "KIND", "PHASE", "ATTEMPTS", "CHANGED"]
    assert row.split()[:4] == ["one", "resize", "pending", "0"]
    assert "--after" in result.stderr


def test_list_marks_what_an_application_does_not_handle(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "listed_app", APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for process_id, kind in (("a", "known"), ("b", "unknown"), ("c", "other")):
        start(store, kind, "--id", process_id)
    execute(store, Register(Registration("d", External())))
    completed(store, "other", Success())
    processes = shown("list", "--app", "listed_app:app", store=store)["processes"]
    assert {p["id"]: p["unclaimable"] for p in processes} == {"a": False, "b": True, "c": False, "d": False}
    assert "unclaimable" not in shown("list", store=store)["processes"][0]
    text = tenure("list", "--app", "listed_app:app", store=store).stdout
    assert [line.split()[0] for line in text.splitlines() if "(unclaimable)" in line] == ["b"]


def test_an_external_process_is_shown(store: str) -> None:
    execute(store, Register(Registration("x", External(canonical({"of": "ci"})))))
    one = shown("show", "x", store=store)
    assert (one["kind"], one["external"], one["payload"]) == (None, True, {"of": "ci"})
    assert "(external)" in tenure("list", store=store).stdout


def test_cancel_ends_what_nobody_runs(store: str) -> None:
    start(store, "resize", "--id", "one")
    assert shown("cancel", "one", "--reason", "enough", store=store) == {
        "id": "one",
        "ended": True,
        "outcome": {"status": "cancelled", "reason": "enough"},
    }
    one = shown("show", "one", store=store)
    assert (one["phase"], one["ended_by"], one["cancel_requested"]) == ("ended", "cancel", "enough")
    result = tenure("cancel", "one", store=store)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "was cancelled: enough" in result.stderr


def test_cancel_asks_what_is_running(store: str) -> None:
    start(store, "resize", "--id", "one")
    claimed(store, "resize")
    assert shown("cancel", "one", store=store) == {"id": "one", "ended": False, "outcome": None}
    assert shown("show", "one", store=store)["cancel_requested"] == ""
    assert "was asked to stop" in tenure("cancel", "one", store=store).stderr


def test_events_in_their_order(store: str) -> None:
    start(store, "resize", "--id", "one", "--emits", "progress")
    fence = claimed(store, "resize")
    execute(store, *(EmitEvent(fence, "progress", canonical({"done": n}), f"k{n}") for n in range(3)))
    first = shown("events", "one", "--limit", "2", store=store)
    assert [(e["seq"], e["type"], e["payload"], e["token"]) for e in first["events"]] == [
        (n + 1, "progress", {"done": n}, fence.token) for n in range(2)
    ]
    rest = shown("events", "one", "--after", str(first["next"]), store=store)
    assert ([e["payload"] for e in rest["events"]], rest["next"], rest["id"]) == ([{"done": 2}], None, "one")
    result = tenure("events", "one", "--limit", "2", store=store)
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["SEQ", "1", "2"]
    assert "--after 2" in result.stderr


def test_the_last_event_of_a_process_is_its_end(store: str) -> None:
    start(store, "resize", "--id", "one")
    completed(store, "resize", Success(Json("7")))
    (event,) = shown("events", "one", store=store)["events"]
    assert (event["type"], event["payload"]) == ("process.ended", {"status": "succeeded", "value": 7})


def test_wait_prints_what_the_handler_returned(store: str) -> None:
    start(store, "resize", "--id", "one")
    completed(store, "resize", Success(canonical({"ref": "a/b"})))
    result = tenure("wait", "one", store=store)
    assert (result.exit_code, result.output) == (0, '{"ref": "a/b"}\n')
    assert shown("wait", "one", store=store) == {
        "id": "one",
        "outcome": {"status": "succeeded", "value": {"ref": "a/b"}},
    }


def test_wait_exits_1_for_a_failure_and_a_cancellation(store: str) -> None:
    start(store, "resize", "--id", "failed")
    completed(store, "resize", Failure("KeyError", "raised", "'url'"))
    start(store, "resize", "--id", "cancelled")
    tenure("cancel", "cancelled", store=store)
    result = tenure("wait", "failed", store=store)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "KeyError (raised): 'url'" in result.stderr
    as_json = tenure("wait", "failed", "--json", store=store)
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["outcome"] == {
        "status": "failed",
        "class": "KeyError",
        "code": "raised",
        "message": "'url'",
        "raw": None,
    }
    assert tenure("wait", "cancelled", store=store).exit_code == 1


def test_wait_exits_124_when_the_time_is_up(store: str) -> None:
    start(store, "resize", "--id", "one")
    result = tenure("wait", "one", "--timeout", "0.05", store=store)
    assert (result.exit_code, result.stdout) == (124, "")
    assert "'one' had not ended after 0.05 s" in result.stderr


def test_what_a_terminal_would_obey_is_shown_instead(store: str) -> None:
    start(store, "resize", "--id", "a\x1b[2Jb\nc\u202e")
    row = tenure("list", store=store).stdout.splitlines()[1]
    assert row.startswith("a\\x1b[2Jb\\nc\\u202e  resize")
