"""A history that holds is found to hold; and for each property one that was forged is named by it, first."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias

import pytest

from tenure.errors import InvalidValue, StoreUnusable
from tenure_memory import open_store
from tenure_testing.conforming.vectors import Exchange, Script, vectors_in
from tenure_testing.histories import RecordingStore, Report, verify
from tenure_testing.histories.verifying import PROPERTIES
from tenure_testing.registry_world import ManualClock
from tests.histories.stories import TTL, Line, find, lines_of, newest, told

VECTORS = Path(__file__).resolve().parents[2] / "docs" / "conformance"

Lines: TypeAlias = list[Line]
Forgery: TypeAlias = Callable[[Lines, Lines], object]


def report(folder: Path, *traces: Lines, complete: bool = False) -> Report:
    """Of traces with these lines."""
    paths = list[Path]()
    for number, lines in enumerate(traces):
        paths.append(folder / f"{number}.ndjson")
        paths[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    return verify(paths, complete)


def test_a_history_that_holds_is_found_to_hold_and_shows_every_property(tmp_path: Path) -> None:
    told_by = report(tmp_path, *lines_of(told()))
    assert told_by.findings == ()
    assert told_by.ok
    assert told_by.not_checked == {"S15": "nothing in these traces shows it"}  # nobody refused to drive
    assert set(told_by.looked) == set(PROPERTIES) - {"S15"}
    assert report(tmp_path, *lines_of(told()), complete=True).findings == ()
    assert (told_by.processes, told_by.ended, told_by.missing, told_by.unexplained) == (5, 4, 0, 0)


def again(lines: Lines, line: Line, version: int) -> Line:
    """The line once more, at the end, as if it had been accepted at that version."""
    more = deepcopy(line)
    more["got"]["reply"]["stamp"]["version"] = version
    lines.append(more)
    return more


def stamp(line: Line) -> Line:
    found: Line = line["got"]["reply"]["stamp"]
    return found


def record(line: Line) -> Line:
    found: Line = line["got"]["reply"]["grants"][0]["record"]
    return found


def s1(a: Lines, others: Lines) -> None:
    stamp(find(others, "append_event", "p"))["at"] -= 500


def s2(a: Lines, others: Lines) -> None:
    record(find(others, "claim", "s"))["token"] = 1
    find(others, "claim", "s")["got"]["reply"]["grants"][0]["fence"]["token"] = 1


def s3(a: Lines, others: Lines) -> None:
    record(find(others, "claim", "p"))["changed_at"] -= 900


def s4(a: Lines, others: Lines) -> None:
    find(others, "complete", "p")["ask"]["fence"]["token"] = find(a, "renew", "p")["ask"]["fence"]["token"]


def s5(a: Lines, others: Lines) -> None:
    renewed = find(a, "renew", "p")
    stamp(renewed)["at"] += 600
    renewed["got"]["reply"]["expires_at"] += 600


def s6(a: Lines, others: Lines) -> None:
    again(others, find(others, "complete", "p"), newest(a, others))


def s7(a: Lines, others: Lines) -> None:
    again(others, find(others, "append_event", "p"), newest(a, others))["ask"]["key"] = "late"


def s8(a: Lines, others: Lines) -> None:
    others.insert(-1, late := deepcopy(find(others, "release", "s")))
    stamp(late)["version"] = newest(a, others)
    late["ask"]["fence"]["claim"]["n"] = 9


def s9(a: Lines, others: Lines) -> None:
    find(others, "renew", "p")["got"]["reply"]["expires_at"] -= 10


def s10(a: Lines, others: Lines) -> None:
    find(a, "record_effect", "p", 1)["got"]["reply"]["result"] = "2"


def s11(a: Lines, others: Lines) -> None:
    find(others, "complete", "p")["got"]["reply"]["outcome"]["code"] = "another"


def s12(a: Lines, others: Lines) -> None:
    a.append(next(line for line in a if "started" in line))


def s13(a: Lines, others: Lines) -> None:
    next(line for line in a if "started" in line)["started"]["now"] = 9


def s14(a: Lines, others: Lines) -> None:
    a.append(find(a, "complete", "p"))


def s15(a: Lines, others: Lines) -> None:
    a.insert(1, {"stopped": {"left": 0, "refused": "the attachments are not durable"}})


def s16(a: Lines, others: Lines) -> None:
    cancelled = find(others, "request_cancel", "p")
    cancelled["got"]["reply"]["outcome"] = {"is": "cancelled", "reason": "why", "control": "null"}


def s17(a: Lines, others: Lines) -> None:
    a[:] = [line for line in a if "returned" not in line]


def s18(a: Lines, others: Lines) -> None:
    a.append(other := deepcopy(find(a, "claim", "q")))
    other["ask"]["process_id"], other["got"] = "r", {"is": "refused", "reason": "held"}


def s19(a: Lines, others: Lines) -> None:
    record(find(others, "claim", "p"))["expires_at"] += 1


def s20(a: Lines, others: Lines) -> None:
    record(find(others, "claim", "p"))["lost"] = 0


def s21(a: Lines, others: Lines) -> None:
    find(others, "get", "p")["got"]["reply"]["record"]["held"] = False


def s22(a: Lines, others: Lines) -> None:
    stamp(find(others, "request_cancel", "r"))["version"] = record(find(others, "claim", "p"))["version"]


def s23(a: Lines, others: Lines) -> None:
    others.append(find(others, "get", "p"))


FORGERIES: dict[str, Forgery] = {
    name.upper(): made for name, made in globals().items() if name in map(str.lower, PROPERTIES)
}


@pytest.mark.parametrize("number", PROPERTIES)
def test_a_forged_history_is_named_by_its_property(number: str, tmp_path: Path) -> None:
    a, others = lines_of(told())
    FORGERIES[number](a, others)
    broken = report(tmp_path, a, others)
    assert not broken.ok
    assert number in broken.broken, broken.findings
    assert broken.findings[0].property == number, broken.findings
    assert ".ndjson:" in broken.where(broken.findings[0])


def test_a_fenced_write_that_had_ended_the_process_is_named(tmp_path: Path) -> None:
    """S11: whose outcome stands is answered with it, also when it asks again."""
    a, others = lines_of(told())
    a.append({"ask": find(a, "complete", "q")["ask"], "got": {"is": "fenced"}})
    assert [found.property for found in report(tmp_path, a, others).findings] == ["S11"]


def test_a_terminal_write_in_doubt_is_only_ever_repeated(tmp_path: Path) -> None:
    """S18: a release after a complete that may have been applied."""
    a, others = lines_of(told())
    doubtful = find(a, "complete", "q")
    released = {"is": "release", "fence": doubtful["ask"]["fence"], "delay": 0}
    a.insert(a.index(doubtful) + 1, {"ask": released, "got": {"is": "unavailable"}})
    (found,) = report(tmp_path, a, others).findings
    assert found.property == "S18"
    assert "release of 'q' followed complete with" in found.what


def test_what_only_workers_can_show_is_reported_as_not_checked(tmp_path: Path) -> None:
    _, others = lines_of(told())
    alone = report(tmp_path, others)
    assert alone.ok, alone.findings
    assert {number: why for number, why in alone.not_checked.items() if "workers" in why} == dict.fromkeys(
        ("S12", "S13", "S14", "S15", "S17"), "needs workers' traces"
    )
    assert alone.unexplained
    assert "requests that no trace has" in alone.not_checked["S1"]


def test_a_change_whose_answer_was_lost_is_no_mistake(tmp_path: Path) -> None:
    """S1: it takes effect, and nobody has its version; a later read shows what it did."""
    a, others = lines_of(told())
    a.remove(find(a, "complete", "q", 1))
    seen = report(tmp_path, a, others)
    assert seen.ok, seen.findings
    assert seen.unexplained == 1


def test_a_request_that_nobody_recorded_may_explain_a_row(tmp_path: Path) -> None:
    """A release that is missing, before the next claim: one row is taken as it is shown, and that is counted."""
    a, others = lines_of(told())
    others.remove(find(others, "release", "s"))
    seen = report(tmp_path, a, others)
    assert seen.ok, seen.findings
    assert (seen.missing, seen.unexplained) == (1, 1)
    assert "1 versions are missing" in seen.not_checked["S1"]
    assert "S3" in report(tmp_path, a, others, complete=True).broken


@pytest.mark.parametrize("number", ["S2", "S4", "S6", "S9"])
def test_a_missing_version_explains_no_old_token(number: str, tmp_path: Path) -> None:
    """Whatever others did unseen, they gave no token back, and ended nothing twice."""
    a, others = lines_of(told())
    FORGERIES[number](a, others)
    for process in ("r", "x"):
        others.remove(find(others, "register", process))
    broken = report(tmp_path, a, others)
    assert broken.missing
    assert number in broken.broken, broken


def test_what_was_recorded_changes_nothing_when_it_is_asked_again(tmp_path: Path) -> None:
    """S10: an effect, and a registration, at a version of their own."""
    a, others = lines_of(told())
    again(a, find(a, "record_effect", "p"), newest(a, others))
    again(others, find(others, "register", "s"), newest(a, others))
    others[-1], others[-2] = others[-2], others[-1]
    found = [
        (one.property, one.what.split()[0]) for one in report(tmp_path, a, others, complete=True).findings
    ]
    assert ("S10", "register") in found
    assert ("S10", "record_effect") in found


@pytest.mark.parametrize("kind", ["renew", "append_event"])
def test_no_two_changes_have_one_version(kind: str, tmp_path: Path) -> None:
    """S1: neither a renewal nor a new event is ever a replay."""
    a, others = lines_of(told())
    lines = a if kind == "renew" else others
    double = again(lines, find(lines, kind, "p"), stamp(find(others, "renew", "p"))["version"])
    double["ask"]["key"] = "another"
    assert "S1" in report(tmp_path, a, others).broken


def test_two_workers_of_one_owner_that_start_one_token_are_named(tmp_path: Path) -> None:
    """S12, K13."""
    a, others = lines_of(told())
    claimed = next(line for line in a if line.get("ask", {}).get("is") == "claim_next")
    twin = [{"trace": 1, "of": "worker"}, claimed, next(line for line in a if "started" in line)]
    assert "S12" in report(tmp_path, a, others, twin).broken


def test_a_start_long_after_its_claim_was_sent_is_named(tmp_path: Path) -> None:
    """S13, K4: the budget counts from the sending, whatever limit the worker itself named."""
    a, others = lines_of(told())
    a.insert(1, {"sent": {"owner": "a", "n": 2, "now": 0}})
    start = [line for line in a if "started" in line][1]["started"]
    start["now"], start["not_after"] = TTL * 1_000_000, TTL * 2_000_000
    assert [found.property for found in report(tmp_path, a, others).findings] == ["S13"]


def test_a_cancelled_outcome_that_nobody_asked_for_is_named(tmp_path: Path) -> None:
    """S17."""
    a, others = lines_of(told())
    cancelled = {"is": "cancelled", "reason": "", "control": "null"}
    for line in (find(a, "complete", "q"), find(a, "complete", "q", 1)):
        line["ask"]["outcome"] = cancelled
    find(a, "complete", "q", 1)["got"]["reply"]["outcome"] = cancelled
    (listed,) = [row for row in others[-2]["got"]["reply"]["records"] if row["registration"]["id"] == "q"]
    listed["outcome"] = cancelled
    assert {found.property for found in report(tmp_path, a, others).findings} == {"S17"}
    a.insert(-1, {"told": {"process": "q", "token": 0, "why": "cancel", "now": 5}})
    token = find(a, "complete", "q")["ask"]["fence"]["token"]
    a.insert(1, {"told": {"process": "q", "token": token, "why": "cancel", "now": 5}})
    assert report(tmp_path, a, others).ok


def test_an_id_is_used_again_only_after_a_prune(tmp_path: Path) -> None:
    """S7."""
    a, others = lines_of(told())
    anew = again(others, find(others, "register", "r"), newest(a, others))
    stamp(anew)["at"] += 10_000
    others[-1], others[-2] = others[-2], others[-1]
    assert "S7" in report(tmp_path, a, others, complete=True).broken
    others.insert(
        -2, {"ask": {"is": "prune"}, "got": {"is": "succeeded", "reply": {"is": "pruned", "count": 1}}}
    )
    assert report(tmp_path, a, others, complete=True).ok


@pytest.mark.parametrize("file", ["scenarios", "tours"])
def test_every_published_vector_is_a_history_that_holds(file: str, tmp_path: Path) -> None:
    """S1-S11, S16, S18-S23: played on a store that records, with nothing left unexplained."""
    text = (VECTORS / f"{file}.jsonl").read_text(encoding="utf-8")
    for number, script in enumerate(vectors_in(text, Script)):
        clock, path = ManualClock(), tmp_path / f"{number}.ndjson"
        store = RecordingStore(open_store("memory:", clock=clock, limits=script.limits), path)
        for step in script.steps:
            if isinstance(step, Exchange):
                clock.now = step.now
                store.execute(step.requests)
        store.close()
        seen = verify([path], complete=True)
        assert seen.ok, (script.name, seen.findings)
        assert seen.unexplained == 0, script.name


def test_a_store_that_records_answers_as_the_other_does(tmp_path: Path) -> None:
    story = told()
    path = tmp_path / "store.ndjson"
    store = RecordingStore(story.store, path)
    assert (store.tier, store.epoch) == (story.store.tier, story.store.epoch)
    store.close()
    store.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"trace": 1, "of": "store", "dense": True},
        {"closed": True},
    ]


# --- bad input ----------------------------------------------------------------------------------------------------

HEAD = '{"trace": 1, "of": "store"}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "does not begin as a trace does"),
        ("\n", "0.ndjson:1 is not JSON"),
        ("[]\n", "0.ndjson:1 is not one JSON object"),
        ('{"trace": 2, "of": "store"}\n', "version 2"),
        ('{"trace": 1}\n', "0.ndjson:1 is no line of a trace"),
        (HEAD + "{} {}\n", "0.ndjson:2 is not one JSON object"),
        (HEAD + '{"sung": 1}\n', "0.ndjson:2 is no line of a trace"),
        (HEAD + '{"ask": {"is": "get"}}\n', "0.ndjson:2 is no line of a trace"),
        (HEAD + '{"ask": 1, "got": 2}\n', "0.ndjson:2 is no line of a trace"),
        (HEAD + "[" * 100_000 + "\n", "0.ndjson:2 is not JSON"),
        ('{"trace": 1, "of": "banana"}\n', "of a worker or of a store"),
    ],
)
def test_a_line_that_no_trace_has_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "0.ndjson"
    path.write_text(text)
    with pytest.raises(InvalidValue, match=said):
        verify([path])


def test_a_last_line_that_is_cut_short_is_left_out_also_when_a_session_follows(tmp_path: Path) -> None:
    path = tmp_path / "0.ndjson"
    path.write_text(HEAD + '{"ask": {"is": "ge')
    assert verify([path]).lines == 1
    RecordingStore(told().store, path).close()
    seen = verify([path])
    assert (seen.lines, seen.sessions) == (3, 2)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        verify([tmp_path / "none.ndjson"])
    (tmp_path / "latin.ndjson").write_bytes(b'{"\xe4": 1}\n')
    with pytest.raises(InvalidValue, match="UTF-8"):
        verify([tmp_path / "latin.ndjson"])
    with pytest.raises(StoreUnusable, match="cannot be written"):
        RecordingStore(told().store, tmp_path)
    with pytest.raises(StoreUnusable, match="/dev/full cannot be written"):
        RecordingStore(told().store, Path("/dev/full"))
