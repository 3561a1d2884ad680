"""A short history that shows every property, to be forged: a store in memory and two workers, told by hand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeAlias

from tenure.canonical import canonical
from tenure.instants import StoreTime
from tenure.process import ClaimId, External, Failure, Fence, Outcome, Registration, Success, Work
from tenure.replies import Answer, Claimed, Succeeded, Unknown
from tenure.requests import (
    AppendEvent,
    Claim,
    ClaimFilter,
    ClaimNext,
    Complete,
    CompleteExternal,
    EmitEvent,
    Get,
    List,
    RecordEffect,
    Register,
    Release,
    Renew,
    Request,
    RequestCancel,
)
from tenure_memory import open_store
from tenure_testing.conforming.wire import to_json
from tenure_testing.histories.recording import asked

Line: TypeAlias = dict[str, Any]

TTL = 1_000


class Story:
    """The lines of one worker, `a`, and of a store that everybody else writes through, `others`."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.store = open_store("memory:", clock=lambda: StoreTime(self.now))
        self.a: list[Line] = [{"trace": 1, "of": "worker"}]
        self.others: list[Line] = [{"trace": 1, "of": "store"}]

    def ask(self, request: Request, into: list[Line], lost: bool = False) -> Answer:
        """The store answers, and the line is written; with `lost` the answer does not come."""
        (answer,) = self.store.execute([request])
        into.append(asked(request, Unknown("lost") if lost else answer))
        return answer

    def granted(self, request: Claim | ClaimNext, into: list[Line]) -> Fence:
        """The fence of a claim that gets one process."""
        answer = self.ask(request, into)
        assert isinstance(answer, Succeeded)
        assert isinstance(answer.reply, Claimed)
        (grant,) = answer.reply.grants
        return grant.fence

    def started(self, fence: Fence) -> None:
        started = {"process": fence.process_id, "token": fence.token, "now": 5, "not_after": 9}
        self.a.append({"started": started})

    def returned(self, fence: Fence, outcome: Outcome) -> None:
        self.a.append({"returned": {"token": fence.token, "outcome": to_json(outcome, Outcome), "now": 6}})


def told() -> Story:
    """The history: `p` is taken over from `a`, whose late writes are fenced; `q` ends with a lost reply that `a` asks
    for again; `r` is cancelled, `s` given back, `x` is external."""
    story = Story()
    a, others = story.a, story.others
    for process in ("p", "q", "r", "s"):
        story.ask(Register(Registration(process, Work("k"), ("progress",))), others)
    story.ask(Register(Registration("x", External())), others)
    story.ask(CompleteExternal("x", "them", Success()), others)
    p = story.granted(ClaimNext(ClaimId("a", 1), TTL, 1, ClaimFilter("", ("k",))), a)
    story.started(p)
    story.ask(RecordEffect(p, "pay", "f", canonical(1)), a)
    story.ask(RecordEffect(p, "pay", "f", canonical(1)), a)
    story.now += 400
    story.ask(Renew(p, TTL), a)
    story.ask(AppendEvent("p", "note", canonical(1), "n"), others)
    story.ask(Get("p"), others)
    q = story.granted(Claim(ClaimId("a", 2), "q", TTL), a)
    story.started(q)
    story.ask(EmitEvent(q, "progress", canonical(1), "e"), a)
    story.returned(q, Success(canonical(7)))
    story.ask(Complete(q, Success(canonical(7))), a, lost=True)
    story.ask(Complete(q, Success(canonical(7))), a)
    s = story.granted(Claim(ClaimId("b", 1), "s", TTL), others)
    story.ask(Release(s, 0), others)
    s = story.granted(Claim(ClaimId("b", 2), "s", TTL), others)
    story.now += TTL
    taken = story.granted(Claim(ClaimId("c", 1), "p", TTL), others)
    story.ask(RequestCancel("r", "why"), others)
    story.ask(RequestCancel("p", "why"), others)
    story.ask(Renew(taken, 2 * TTL), others)
    story.returned(p, Success(canonical(5)))
    story.ask(Complete(p, Success(canonical(5))), a)
    story.ask(Complete(taken, Failure("E", "code", "text")), others)
    story.ask(List(), others)
    a.append({"stopped": {"left": 0, "refused": ""}})
    others.append({"closed": True})
    return story


def lines_of(story: Story) -> tuple[list[Line], list[Line]]:
    """The lines of `a` and of the others, to be changed."""
    return deepcopy(story.a), deepcopy(story.others)


def find(lines: list[Line], kind: str, process: str, nth: int = 0) -> Line:
    """The nth answered request of that kind on that process."""

    def about(ask: Line) -> str:
        if "registration" in ask:
            return str(ask["registration"]["id"])
        return str(ask["fence"]["process_id"]) if "fence" in ask else str(ask.get("process_id", "p"))

    found = [
        line
        for line in lines
        if "ask" in line and line["ask"]["is"] == kind and about(line["ask"]) == process
    ]
    return found[nth]


def newest(*traces: list[Line]) -> int:
    """A version above all that the traces show."""
    text = repr(traces)
    return 1 + max(int(part.split(",")[0].split("}")[0]) for part in text.split("'version': ")[1:])
