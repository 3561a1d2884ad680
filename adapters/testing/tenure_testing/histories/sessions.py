"""What one session of a trace shows by itself, line by line: S10, S12-S18 and S23, and its changes of rows.

A session is what one worker, or one store, did, in its own order. So a version that was seen is never unseen (S23), a
token that was lost is not written under again (S14), and what a worker started, ended and wrote must fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenure.instants import NANOS_PER_MILLI
from tenure_testing.histories import changes as c
from tenure_testing.histories.changes import Change, Json, Outcome, outcome_of, words
from tenure_testing.histories.findings import Findings

MACHINES = ("process_recovery_failed", "lost_too_often", "handler_cancelled", "max_run_exceeded")
"""Codes of the failures that a worker writes by itself (S17)."""

TERMINAL = ("complete", "release")
"""The requests that end an attempt."""


class Session:
    """One worker's, or one store's, lines. `changes` is what they say about rows, `doubts` the requests that may
    have been applied, for all that it knows. One that is not `over` was killed, perhaps before it wrote an answer.
    `dense`: its store promises versions without holes."""

    def __init__(
        self,
        number: int,
        of: str,
        findings: Findings,
        found: list[Change],
        started: set[tuple[str, int]],
        seen: dict[str, int],
    ) -> None:
        self.number, self.worker, self.findings, self.changes = number, of == "worker", findings, found
        self.started, self.seen = started, seen
        self.gone: list[tuple[str, str, tuple[int, int]]] = []
        self.unknown, self.latest, self.dense = 0, (0, (number, 0)), False
        self.lost: set[tuple[str, int]] = set()
        self.granted: set[tuple[str, int]] = set()
        self.cancelled: set[tuple[str, int]] = set()
        self.renewed: set[tuple[str, int]] = set()
        self.leases: dict[tuple[str, int], tuple[tuple[str, int] | None, int]] = {}
        self.sent: dict[tuple[str, int], int] = {}
        self.doubts, self.over, self.pruned, self.own = list[Json](), False, False, 0
        self.returned: dict[int, Outcome | None] = {}
        self.doubtful: dict[tuple[str, int], str] = {}
        self.claims: dict[tuple[str, int], Json] = {}
        self.refused = ""
        self.fenced: list[tuple[Json, Outcome | None, int, tuple[int, int]]] = []
        self.lines: dict[str, Callable[[Any, tuple[int, int]], None]] = {
            "started": self._started,
            "returned": self._returned,
            "stopped": self._stopped,
            "sent": self._sent,
            "told": self._told,
            "closed": self._closed,
            "declined": self._nothing,
        }

    def take(self, line: Json, number: int) -> None:
        """Judge one line. Raises KeyError or TypeError for one that no trace has."""
        place = (self.number, number)
        if "ask" in line:
            self._answered(line["ask"], line["got"], place)
        else:
            ((what, body),) = line.items()
            self.lines[what](body, place)

    # --- requests and answers -------------------------------------------------------------------------------------

    def _answered(self, ask: Json, got: Json, place: tuple[int, int]) -> None:
        kind, answer = ask["is"], got["is"]
        fence = ask.get("fence")
        if fence is not None:
            self._under_lease(kind, ask, fence, answer, place)
        elif self.worker and kind in ("claim_next", "claim"):
            self._claimed_once(ask, place)
        if answer != "succeeded":
            self._doubt(ask, answer)
            if answer == "refused" and got["reason"] == "not_found" and ask.get("process_id") in self.seen:
                self.gone.append((kind, ask["process_id"], place))
            return
        if self.doubts and ask in self.doubts:
            self.doubts.remove(ask)
        reply = got["reply"]
        read = _READERS.get(kind)
        if read is None:
            self._of_no_row(kind, reply, place)
            return
        found = read(ask, reply, place)
        for change in found:
            if change.version < self.seen.get(change.process, 0):
                said = f"{kind} showed {change.process!r} at version {change.version} after {self.seen[change.process]}"
                self.findings.broke("S23", said, place)
            self.seen[change.process] = change.version
            if change.kind == "claim":
                self._granted(change)
            elif change.kind == "renew":
                self._renewed(change)
        self.findings.looked["S23"] += len(found)
        self.changes.extend(found)

    def _of_no_row(self, kind: str, reply: Json, place: tuple[int, int]) -> None:
        if kind == "prune":
            self.pruned = self.pruned or reply["count"] > 0
        elif kind == "read_cancels":
            self.cancelled.update((process, token) for process, token, _ in reply["cancels"])
        elif kind == "read_endings":
            self.latest = max(self.latest, (reply["latest"], place))

    def _doubt(self, ask: Json, answer: str) -> None:
        self.unknown += answer == "unknown"
        if answer == "unknown" and ask not in self.doubts:
            self.doubts.append(ask)
        elif answer != "unknown" and answer != "unavailable" and ask in self.doubts:
            self.doubts.remove(ask)

    def _granted(self, change: Change) -> None:
        key, (ttl, seen, _) = (change.process, change.token), change.value
        self.granted.add(key)
        self.leases[key] = (change.claim, ttl)
        if seen.cancel is not None:
            self.cancelled.add(key)

    def _renewed(self, change: Change) -> None:
        key = (change.process, change.token)
        self.renewed.add(key)
        if change.value[2] is not None:
            self.cancelled.add(key)

    def _under_lease(self, kind: str, ask: Json, fence: Json, answer: str, place: tuple[int, int]) -> None:
        findings, key = self.findings, (fence["process_id"], fence["token"])
        if self.worker:
            findings.looked["S14"] += 1
            if key in self.lost:
                findings.broke(
                    "S14", f"{kind} of {key[0]!r} under token {key[1]} was sent after its loss", place
                )
            if kind == "complete":
                self._reported(ask["outcome"], key, place)
            if kind in TERMINAL:
                self._undoubted(kind, ask, key, answer, place)
        if answer == "fenced":
            self.lost.add(key)
            if kind == "complete":
                self.fenced.append((fence, outcome_of(ask["outcome"]), self.seen.get(key[0], 0), place))

    def _undoubted(
        self, kind: str, ask: Json, key: tuple[str, int], answer: str, place: tuple[int, int]
    ) -> None:
        """S18: a terminal write that may have been applied is only ever repeated."""
        sent = f"complete with {words(outcome_of(ask['outcome']))}" if kind == "complete" else kind
        doubt = self.doubtful.get(key)
        if doubt is not None:
            self.findings.looked["S18"] += 1
            if doubt != sent:
                what = f"{sent} of {key[0]!r} followed {doubt}, which may have been applied"
                self.findings.broke("S18", what, place)
        if answer == "unknown":
            self.doubtful[key] = sent

    def _claimed_once(self, ask: Json, place: tuple[int, int]) -> None:
        """S18: a claim id stands for one request, whatever became of it."""
        claim = ask["claim"]
        known = self.claims.setdefault((claim["owner"], claim["n"]), ask)
        self.findings.looked["S18"] += 1
        if known != ask:
            self.findings.broke(
                "S18", f"claim {claim['n']} of {claim['owner']} was sent with other content", place
            )

    def _reported(self, outcome: Json, key: tuple[str, int], place: tuple[int, int]) -> None:
        """S17: the outcome is what the handler reported, or the worker's own."""
        self.findings.looked["S17"] += 1
        own = (outcome["is"] == "cancelled" and key in self.cancelled) or outcome.get("code") in MACHINES
        said = outcome_of(outcome)
        if not own and self.returned.get(key[1]) != said and outcome.get("code") != "result_too_large":
            what = f"{words(said)} of {key[0]!r} was written under token {key[1]}, whose handler did not report it"
            self.findings.broke("S17", what, place)

    # --- the worker's own lines -----------------------------------------------------------------------------------

    def _sent(self, body: Any, place: tuple[int, int]) -> None:
        self.sent.setdefault((body["owner"], body["n"]), body["now"])

    def _told(self, body: Any, place: tuple[int, int]) -> None:
        key = (body["process"], body["token"])
        if body["why"] == "cancel":
            self.cancelled.add(key)
        elif body["why"] == "lease_lost":
            self.lost.add(key)

    def _started(self, body: Json, place: tuple[int, int]) -> None:
        findings, key = self.findings, (body["process"], body["token"])
        what = f"a handler of {key[0]!r} was started under token {key[1]}"
        for number in ("S12", "S13", "S14"):
            findings.looked[number] += 1
        if key in self.started:
            findings.broke("S12", f"{what} again", place)
        if key not in self.granted:
            findings.broke("S12", f"{what}, which no claim of this worker got", place)
        if body["now"] >= body["not_after"]:
            findings.broke("S13", f"{what} when its budget was spent", place)
        claim, ttl = self.leases.get(key, (None, 0))
        since = self.sent.get(claim) if claim is not None else None
        if since is not None and key not in self.renewed and body["now"] >= since + ttl * NANOS_PER_MILLI:
            findings.broke("S13", f"{what} a whole ttl after its claim was sent", place)
        if key in self.lost:
            findings.broke("S14", f"{what} after its loss", place)
        if self.refused:
            findings.broke("S15", f"{what} by a worker that refused to drive: {self.refused}", place)
        self.started.add(key)
        self.own += 1

    def _returned(self, body: Json, place: tuple[int, int]) -> None:
        self.returned[body["token"]] = outcome_of(body["outcome"])

    def _stopped(self, body: Json, place: tuple[int, int]) -> None:
        """S15: a worker whose tiers do not suffice refuses to drive, and has started nothing."""
        self.refused, self.over = body["refused"], True
        if self.refused:
            self.findings.looked["S15"] += 1
            if self.own:
                self.findings.broke(
                    "S15", f"a worker had started {self.own} handlers, and refused to drive", place
                )

    def _closed(self, body: Json, place: tuple[int, int]) -> None:
        self.over = True

    def _nothing(self, body: Json, place: tuple[int, int]) -> None:
        """For people, and for checks of one's own."""


# --- what each accepted request says about rows -------------------------------------------------------------------


def _claims(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.granted(ask, nth, grant, place) for nth, grant in enumerate(reply["grants"])]


def _renew(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.fenced("renew", ask, reply, place, (ask["ttl"], reply["expires_at"], reply["cancel"]))]


def _effect(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    value = (ask["key"], ask["fingerprint"], reply["result"], ask["result"])
    return [c.fenced("record_effect", ask, reply, place, value)]


def _emit(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.fenced("emit_event", ask, reply, place, ("h:" + ask["key"], reply["seq"]))]


def _complete(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    value = (outcome_of(ask["outcome"]), outcome_of(reply["outcome"]))
    return [c.fenced("complete", ask, reply, place, value)]


def _release(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.fenced("release", ask, reply, place, outcome_of(reply["outcome"]))]


def _register(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    registration = ask["registration"]
    return [c.client("register", registration["id"], reply, place, registration)]


def _append(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.client("append_event", ask["process_id"], reply, place, ("c:" + ask["key"], reply["seq"]))]


def _cancel(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    value = (ask["reason"], outcome_of(reply["outcome"]))
    return [c.client("request_cancel", ask["process_id"], reply, place, value)]


def _external(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    value = (outcome_of(ask["outcome"]), outcome_of(reply["outcome"]))
    return [c.client("complete_external", ask["process_id"], reply, place, value)]


def _got(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.read(reply["record"], place)]


def _listed(ask: Json, reply: Json, place: tuple[int, int]) -> list[Change]:
    return [c.read(record, place) for record in reply["records"]]


_READERS: dict[str, Callable[[Json, Json, tuple[int, int]], list[Change]]] = {
    "claim_next": _claims,
    "claim": _claims,
    "renew": _renew,
    "record_effect": _effect,
    "emit_event": _emit,
    "complete": _complete,
    "release": _release,
    "register": _register,
    "append_event": _append,
    "request_cancel": _cancel,
    "complete_external": _external,
    "get": _got,
    "list": _listed,
}
