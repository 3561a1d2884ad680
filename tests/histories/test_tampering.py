"""One line of a history that holds is changed, or lost: the property that this breaks is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tenure.canonical import canonical
from tenure.process import ClaimId, Registration, Success, Work
from tenure.replies import Answer, Reason, Refused, Succeeded
from tenure.requests import AppendEvent, Claim, Complete, Get, ReadEndings, RecordEffect, Register, Request
from tenure_memory import open_store
from tenure_testing.histories import RecordingStore, Report, verify
from tests.histories.stories import TTL, Line, Story, find, lines_of, told

Lines: TypeAlias = list[Line]
Tampering: TypeAlias = Callable[[Lines, Lines], object]


def judged(folder: Path, *traces: Lines, complete: bool = True) -> Report:
    """The verdict on traces with these lines."""
    paths = [folder / f"{number}.ndjson" for number in range(len(traces))]
    for path, lines in zip(paths, traces, strict=True):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return verify(paths, complete)


def whole() -> tuple[Lines, Lines]:
    """The history without the line whose answer was lost: what it did is answered by the line after it."""
    a, others = lines_of(told())
    a.remove(find(a, "complete", "q"))
    a[0]["dense"] = others[0]["dense"] = True
    return a, others


def test_the_history_itself_holds_and_nothing_is_missing(tmp_path: Path) -> None:
    report = judged(tmp_path, *whole())
    assert report.ok, report.findings
    assert report.not_checked == {"S15": "nothing in these traces shows it"}


def reply(line: Line) -> Line:
    found: Line = line["got"]["reply"]
    return found


def grant(line: Line) -> Line:
    found: Line = reply(line)["grants"][0]
    return found


# --- rows that are shown otherwise than they are --------------------------------------------------------------------


def got_payload(a: Lines, others: Lines) -> None:
    reply(find(others, "get", "p"))["record"]["registration"]["input"]["payload"] = "888"


def got_owner(a: Lines, others: Lines) -> None:
    reply(find(others, "get", "p"))["record"]["registration"]["provenance"]["owner_scope"] = "mallory"


def got_claim(a: Lines, others: Lines) -> None:
    reply(find(others, "get", "p"))["record"]["claim"]["n"] = 7


def got_time(a: Lines, others: Lines) -> None:
    reply(find(others, "get", "p"))["record"]["changed_at"] += 1


def listed_kind(a: Lines, others: Lines) -> None:
    reply(others[-2])["records"][1]["registration"]["input"]["kind"] = "other"


def listed_events(a: Lines, others: Lines) -> None:
    reply(others[-2])["records"][0]["registration"]["event_types"] = []


# --- claims ---------------------------------------------------------------------------------------------------------


def granted_payload(a: Lines, others: Lines) -> None:
    grant(find(a, "claim", "q"))["record"]["registration"]["input"]["payload"] = "888"


def claimed_next(a: Lines) -> Line:
    return next(line for line in a if line.get("ask", {}).get("is") == "claim_next")


def other_kind(a: Lines, others: Lines) -> None:
    claimed_next(a)["ask"]["filter"]["kinds"] = ["other"]


def excluded(a: Lines, others: Lines) -> None:
    claimed_next(a)["ask"]["filter"]["exclude"] = ["p"]


def too_many(a: Lines, others: Lines) -> None:
    claimed_next(a)["ask"]["limit"] = 0


def other_profile(a: Lines, others: Lines) -> None:
    """Of the row, wherever it is shown."""
    for line in (*a, *others):
        registration = line.get("ask", {}).get("registration")
        shown = [registration] if registration else []
        body = line.get("got", {}).get("reply", {})
        shown += [one["record"]["registration"] for one in body.get("grants", ())]
        shown += [one["registration"] for one in (body.get("record"), *body.get("records", ())) if one]
        for one in shown:
            if one["id"] == "p":
                one["provenance"]["host_profile_id"] = "gpu"


def other_process(a: Lines, others: Lines) -> None:
    find(a, "claim", "q")["ask"]["process_id"] = "r"


def external(a: Lines, others: Lines) -> None:
    """A row is registered, and shown, as an external one."""
    for line in (*a, *others):
        text = json.dumps(line)
        if '"id": "q"' in text:
            work, extern = (
                '{"is": "work", "kind": "k", "payload": "null"}',
                '{"is": "external", "metadata": "null"}',
            )
            before, after = text.split('"id": "q"', 1)
            line.clear()
            line.update(json.loads(before + '"id": "q"' + after.replace(work, extern, 1)))


def other_claim(a: Lines, others: Lines) -> None:
    grant(find(a, "claim", "q"))["record"]["claim"]["n"] = 9


def other_row(a: Lines, others: Lines) -> None:
    grant(find(a, "claim", "q"))["record"]["token"] += 1


# --- answers --------------------------------------------------------------------------------------------------------


def effect_result(a: Lines, others: Lines) -> None:
    a.remove(find(a, "record_effect", "p", 1))  # asked again: what was answered then would tell as well (S10)
    reply(find(a, "record_effect", "p"))["result"] = "6"


def stamped(kind: str, process: str, by: int = 1) -> Tampering:
    def tamper(a: Lines, others: Lines) -> None:
        lines = [line for line in (*a, *others) if line.get("ask", {}).get("is") == kind]
        reply(find(lines, kind, process))["stamp"]["token"] += by

    tamper.__name__ = f"stamp_of_{kind}"
    return tamper


def registered_again(a: Lines, others: Lines) -> None:
    """A registration with other content that was not refused."""
    others.insert(7, again := deepcopy(find(others, "register", "s")))
    again["ask"]["registration"]["input"]["payload"] = "888"


def told_of_its_loss(a: Lines, others: Lines) -> None:
    fence = find(a, "complete", "q")["ask"]["fence"]
    lost = {"process": "q", "token": fence["token"], "why": "lease_lost", "now": 6}
    a.insert(a.index(find(a, "complete", "q")), {"told": lost})


TAMPERINGS: Sequence[tuple[str, Tampering, str]] = (
    ("S21", got_payload, "shows registration.input.payload '888' for 'null'"),
    ("S21", got_owner, "shows registration.provenance.owner_scope 'mallory' for ''"),
    ("S21", got_claim, "shows claim ('a', 7) for ('a', 1)"),
    ("S21", got_time, "shows a change at 1000401 ms for 1000400 ms"),
    ("S21", listed_kind, "shows registration.input.kind 'other' for 'k'"),
    ("S21", listed_events, "shows registration.event_types [] for ['progress']"),
    ("S19", granted_payload, "shows registration.input.payload '888' for 'null'"),
    ("S19", other_kind, "is of kind 'k', and the claim was for ['other']"),
    ("S19", excluded, "was granted to a claim that excluded it"),
    ("S19", too_many, "is lease 1 of a claim for 0"),
    ("S19", other_profile, "is for profile 'gpu', and the claim was of ''"),
    ("S19", other_process, "was not asked for: 'r' was"),
    ("S19", external, "is of an external process"),
    ("S19", other_claim, "answers another claim than was sent"),
    ("S19", other_row, "has a fence that is not that of the row it shows"),
    ("S1", effect_result, "was new, was sent with 1, and answered 6"),
    ("S2", stamped("renew", "p"), "was answered with token"),
    ("S2", stamped("record_effect", "p"), "was answered with token"),
    ("S2", stamped("complete", "q"), "was answered with token"),
    ("S2", stamped("release", "s"), "was answered with token"),
    ("S2", stamped("append_event", "p"), "was answered with token"),
    ("S2", stamped("request_cancel", "p", -1), "was answered with token"),
    ("S2", stamped("register", "q"), "was answered with token 1, and the row has 0"),
    ("S10", registered_again, "of registration.input.payload '888' for 'null'"),
    ("S14", told_of_its_loss, "was sent after its loss"),
)


@pytest.mark.parametrize(
    ("number", "tamper", "said"), TAMPERINGS, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "partial"])
def test_one_tampered_line_is_named(
    number: str, tamper: Tampering, said: str, complete: bool, tmp_path: Path
) -> None:
    a, others = whole()
    tamper(a, others)
    report = judged(tmp_path, a, others, complete=complete)
    assert report.findings, "it was not seen"
    assert (report.findings[0].property, said in report.findings[0].what) == (number, True), report.findings


# --- rows that are gone ---------------------------------------------------------------------------------------------


class Losing:
    """A store that finds no row."""

    def __init__(self) -> None:
        self.inner = open_store("memory:")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def execute(self, batch: Sequence[Request]) -> Sequence[Answer]:
        answers = self.inner.execute(batch)
        lost = Refused(Reason.NOT_FOUND)
        return [
            lost if isinstance(ask, Get | AppendEvent) else got
            for ask, got in zip(batch, answers, strict=True)
        ]


@pytest.mark.parametrize("lost", [Get("p"), AppendEvent("p", "go", canonical(1), "k")])
def test_a_row_that_was_acknowledged_is_found(lost: Request, tmp_path: Path) -> None:
    """S21, K24: also where the store was opened again in between, and added to its trace."""
    path, store = tmp_path / "store.ndjson", Losing()
    for batch in ([Register(Registration("p", Work("k")))], [lost, Get("another")]):
        recording = RecordingStore(store, path)  # pyright: ignore[reportArgumentType]  # by __getattr__
        recording.execute(batch)
        recording.close()
    report = verify([path], complete=True)
    assert [found.property for found in report.findings] == ["S21"]
    assert "'p' does not find it, which was there, and it has not ended" in report.findings[0].what
    partial = verify([path])
    assert partial.ok
    assert "1 times a row was not found" in partial.not_checked["S21"]


NOT_FOUND: Line = {"is": "refused", "reason": "not_found", "detail": ""}
PRUNED: Line = {"ask": {"is": "prune"}, "got": {"is": "succeeded", "reply": {"is": "pruned", "count": 1}}}


@pytest.mark.parametrize(("process", "broken"), [("x", []), ("s", ["S21"])])
def test_a_prune_takes_what_has_ended_and_nothing_else(
    process: str, broken: list[str], tmp_path: Path
) -> None:
    """S21: `x` has ended, `s` has not."""
    a, others = whole()
    others[-1:-1] = [PRUNED, {"ask": {"is": "get", "process_id": process}, "got": NOT_FOUND}]
    report = judged(tmp_path, a, others)
    assert [found.property for found in report.findings] == broken
    others.remove(PRUNED)
    assert [found.property for found in judged(tmp_path, a, others).findings] == ["S21"]


def test_a_prune_in_an_unknown_request_may_have_taken_it(tmp_path: Path) -> None:
    a, others = whole()
    others[-1:-1] = [
        {"ask": {"is": "prune", "older_than": 0, "limit": 9}, "got": {"is": "unknown", "cause": ""}},
        {"ask": {"is": "get", "process_id": "x"}, "got": NOT_FOUND},
    ]
    report = judged(tmp_path, a, others)
    assert report.ok, report.findings
    assert "may have pruned" in report.not_checked["S21"]


# --- versions that are missing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "process"), [("renew", "p"), ("append_event", "p"), ("request_cancel", "p"), ("emit_event", "q")]
)
def test_a_lost_line_leaves_a_version_that_nobody_made(kind: str, process: str, tmp_path: Path) -> None:
    """S1: everybody's lines are there, every session is over, and every request was answered."""
    a, others = whole()
    lines = a if kind in ("renew", "emit_event") else others
    lines.remove(find(lines, kind, process))
    if kind == "append_event":
        others.remove(find(others, "get", "p"))  # was at the same version
    report = judged(tmp_path, a, others)
    assert "S1" in report.broken
    assert any("nobody made 1 versions before" in found.what for found in report.findings)
    assert "1 versions are missing" in report.not_checked["S21"]


def test_a_missing_version_is_told_where_it_may_be_somebody_elses(tmp_path: Path) -> None:
    """S1 held as far as it was looked at: a worker may have been killed, or an answer lost, or a trace left out."""
    a, others = whole()
    a.remove(find(a, "emit_event", "q"))
    partial = judged(tmp_path, a, others, complete=False)
    assert partial.ok, partial.findings
    assert partial.not_checked["S1"] == "1 versions are missing, and no trace says what they changed"
    unknown = {"ask": {"is": "get", "process_id": "p"}, "got": {"is": "unknown", "cause": ""}}
    assert judged(tmp_path, [*a[:-1], unknown, a[-1]], others).ok
    killed = judged(tmp_path, a[:-1], others)
    assert killed.ok
    assert "1 versions are missing" in killed.not_checked["S1"]
    assert "1 versions are missing" in killed.not_checked["S21"]


def test_the_last_line_is_missed_where_somebody_read_the_latest_version(tmp_path: Path) -> None:
    """S1: a worker reads it, to tell those who wait."""
    path, store = tmp_path / "store.ndjson", open_store("memory:")
    recording = RecordingStore(store, path)
    for name in ("p", "q"):
        recording.execute([Register(Registration(name, Work("k")))])
    recording.execute([ReadEndings(0)])
    recording.close()
    assert verify([path], complete=True).not_checked.get("S1") is None
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"id":"q"' not in line))
    report = verify([path], complete=True)
    assert [found.property for found in report.findings] == ["S1"]
    assert "the store was at version 2, and nobody made 1 versions after 1" in report.findings[0].what
    assert "1 versions are missing" in verify([path]).not_checked["S1"]


def test_what_is_older_than_the_traces_is_no_mistake(tmp_path: Path) -> None:
    """A store that was used before anybody recorded it."""
    path, store = tmp_path / "store.ndjson", open_store("memory:")
    store.execute([Register(Registration(name, Work("k"))) for name in ("p", "q")])
    recording = RecordingStore(store, path)
    recording.execute([Register(Registration("r", Work("k")))])
    recording.close()
    report = verify([path], complete=True)
    assert report.ok, report.findings
    assert "2 versions are missing" in report.not_checked["S1"]


def test_an_effect_whose_answer_was_lost_is_told_to_the_next_holder(tmp_path: Path) -> None:
    """S10: nobody has its version, and the next holder gets the first one's result."""
    story = Story()
    story.ask(Register(Registration("p", Work("k"))), story.others)
    first = story.granted(Claim(ClaimId("b", 1), "p", TTL), story.others)
    story.ask(RecordEffect(first, "pay", "f", canonical(1)), story.others, lost=True)
    story.now += TTL
    second = story.granted(Claim(ClaimId("c", 1), "p", TTL), story.others)
    answer = story.ask(RecordEffect(second, "pay", "f", canonical(2)), story.others)
    assert isinstance(answer, Succeeded)
    story.ask(Complete(second, Success()), story.others)
    story.others.append({"closed": True})
    report = judged(tmp_path, story.others)
    assert report.ok, report.findings
