"""Registries in lock-step with the reference model: the same batches, the same answers, the same content.

The model is judged request by request (`tenure_testing.stateful.judge`), so that a bug which all share is found; a
store is compared with the model, and where it differs its own transition is judged first, so that the failure names
the property that this store breaks; S1 is what is left when no other is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import define, field

from tenure.instants import StoreTime
from tenure.limits import Limits
from tenure.model import Snapshot, apply
from tenure.process import Effect, Event, Record, terminal_event
from tenure.replies import Answer, Claimed, EffectsRead, EventsRead, Listed, Refused, Succeeded
from tenure.requests import (
    List,
    ReadCancels,
    ReadEffects,
    ReadEndings,
    ReadEvents,
    ReadFenceLog,
    ReadOwnerEvents,
    Request,
)
from tenure.stores import Cursor, ProcessRegistry
from tenure_testing.registry_world import ManualClock
from tenure_testing.stateful.judge import Broken, Content, Judge, broken

ALL = 10_000
"""A page that holds all there is."""


@define
class Lockstep:
    """The stores by their names, and what they all have to be like.

    `owners`: the incarnations whose cancellations are compared. `strict`: the stores also agree with each other about
    what the contract leaves open, the fence log and the cursor of the feed. `tally` counts each kind of request with
    each kind of answer, and the claims that granted several rows.
    """

    stores: dict[str, ProcessRegistry]
    clock: ManualClock
    limits: Limits
    owners: Sequence[str] = ()
    strict: bool = False
    tally: Counter[str] = field(factory=Counter[str])
    model: Snapshot = field(init=False)
    judge: Judge = field(init=False)
    names: dict[str, None] = field(init=False, factory=dict[str, None])
    _content: tuple[Snapshot, Content] = field(init=False)
    _wanted: tuple[Snapshot | None, list[Request], list[Answer]] = field(init=False)
    _last: tuple[Request, Answer, Content] | None = field(init=False, default=None)
    _checked: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.model = Snapshot(limits=self.limits)
        self.judge = Judge(self.limits)
        self._content = self.model, Content({}, {}, {})
        self._wanted = None, [], []

    def ask(self, *requests: Request) -> list[Answer]:
        """One batch to everybody: the answers, which are the same, as is what they leave. Raises Broken."""
        clock, begun = self.clock(), self._seen(self.model)
        answers: list[Answer] = []
        for request in requests:
            found = self._seen(self.model)
            self.model, answer = apply(self.model, request, clock)
            self.judge.judge(request, answer, found, self._seen(self.model), clock)
            if len(requests) > 1:
                self.judge.remember(request, answer, self._seen(self.model), clock)
            answers.append(answer)
            self.tally[f"{type(request).__name__}: {_word(answer)}"] += 1
            if _grants(answer) > 1:
                self.tally[f"{type(request).__name__}: several rows"] += 1
        self._last = (requests[0], answers[0], begun) if len(requests) == 1 else None
        for name, store in self.stores.items():
            self._compare(name, requests, answers, list(store.execute(requests)))
        self._checked = False
        self.check()
        if len(requests) == 1:
            self.judge.remember(requests[0], answers[0], self._seen(self.model), clock)
        self._last = None
        return answers

    def check(self) -> None:
        """Every store holds what the model holds: rows, logs, effects, endings, cancellations. Raises Broken."""
        if self._checked:
            return
        asked, wanted = self._expected()
        others: list[object] = []
        for name, store in self.stores.items():
            told = list(store.execute(asked))
            if told != wanted:
                self._judge_alone(name, None)
                raise broken(
                    ["S1"], f"{name} does not hold what it should: {_first_unlike(asked, told, wanted)}"
                )
            if self.strict:
                others.append((store.execute([ReadFenceLog(100)]), store.wait(Cursor(), 0)))
        if any(other != others[0] for other in others):
            raise broken(["S1"], f"fence log or cursor differ: {dict(zip(self.stores, others, strict=True))}")
        self._checked = True

    def unchecked(self) -> None:
        """Something was done to the stores: `check` has to look again."""
        self._checked = False

    def replace(self, name: str, store: ProcessRegistry) -> None:
        """The store crashed, and this is what it left. Raises Broken where something that was answered is not in it."""
        self.stores[name], self._checked = store, False
        try:
            self.check()
        except Broken as found:
            raise broken(["S21"], f"{name} lost something in a crash\n{found}") from found

    # --- inside ---------------------------------------------------------------------------------------------------

    def _seen(self, state: Snapshot) -> Content:
        """The model as its readers see it; nothing is made anew where nothing changed."""
        known, content = self._content
        if state is not known:
            if state != known:
                content = content_of(state)
                self.names.update(dict.fromkeys(content.rows))
            self._content = state, content
        return content

    def _expected(self) -> tuple[list[Request], list[Answer]]:
        known, asked, wanted = self._wanted
        if known is not self.model:
            first: list[Request] = [List(limit=ALL), ReadEndings(0, ALL)]
            asked = first + [ReadCancels(owner) for owner in self.owners]
            sessions = {record.registration.provenance.owner_scope: None for record in self.model.records}
            asked += [ReadOwnerEvents(session, limit=ALL) for session in sessions if session]
            for name in self.names:
                asked += [ReadEvents(name, limit=ALL), ReadEffects(name, limit=ALL)]
            wanted = [apply(self.model, request, StoreTime(0))[1] for request in asked]
            self._wanted = self.model, asked, wanted
        return asked, wanted

    def _compare(
        self, name: str, requests: Sequence[Request], wanted: Sequence[Answer], told: Sequence[Answer]
    ) -> None:
        if len(told) != len(wanted):
            raise broken(["S1"], f"{name} gave {len(told)} answers to {len(wanted)} requests")
        for request, answer, right in zip(requests, told, wanted, strict=True):
            if answer != right and not isinstance(request, ReadFenceLog):
                self._judge_alone(name, answer)
                raise broken(["S1"], f"{name} answers otherwise: {_unlike(request, answer, right)}")

    def _judge_alone(self, name: str, answer: Answer | None) -> None:
        """Whether what this store did with the last request breaks a property by itself. `answer` None: it answered as
        the model did."""
        if self._last is None:
            return
        request, same, before = self._last
        try:
            self.judge.judge(request, answer or same, before, read_content(self.stores[name]), self.clock())
        except Broken as found:
            raise broken((*found.properties, "S1"), f"{name}: {found}") from found


def content_of(state: Snapshot) -> Content:
    """What the model's readers see."""
    rows = {record.id: record for record in state.records}
    logs: dict[str, tuple[Event, ...]] = dict.fromkeys(rows, ())
    effects: dict[str, tuple[Effect, ...]] = dict.fromkeys(rows, ())
    for event in state.events:
        logs[event.process_id] += (event,)
    for effect in state.effects:
        effects[effect.process_id] += (effect,)
    for name, record in rows.items():
        last = terminal_event(record)
        logs[name] += (last,) if last else ()
    return Content(rows, logs, effects)


def read_content(store: ProcessRegistry) -> Content:
    """What a store's readers see."""
    (listed,) = store.execute([List(limit=ALL)])
    records: tuple[Record, ...] = ()
    if isinstance(listed, Succeeded) and isinstance(listed.reply, Listed):
        records = listed.reply.records
    rows = {record.id: record for record in records}
    logs, effects = dict[str, tuple[Event, ...]](), dict[str, tuple[Effect, ...]]()
    for name in rows:
        for answer in store.execute([ReadEvents(name, limit=ALL), ReadEffects(name, limit=ALL)]):
            reply = answer.reply if isinstance(answer, Succeeded) else None
            if isinstance(reply, EventsRead):
                logs[name] = reply.events
            elif isinstance(reply, EffectsRead):
                effects[name] = tuple(sorted(reply.effects, key=lambda effect: effect.version))
    return Content(rows, logs, effects)


def _word(answer: Answer) -> str:
    return answer.reason.name if isinstance(answer, Refused) else type(answer).__name__


def _grants(answer: Answer) -> int:
    reply = answer.reply if isinstance(answer, Succeeded) else None
    return len(reply.grants) if isinstance(reply, Claimed) else 0


def _first_unlike(requests: Sequence[Request], told: Sequence[Answer], wanted: Sequence[Answer]) -> str:
    pairs = zip(requests, told, wanted, strict=True)
    return next((_unlike(*each) for each in pairs if each[1] != each[2]), "nothing")


def _unlike(request: Request, answer: Answer, right: Answer) -> str:
    return f"{request!r}\nis answered {answer!r}\nthe model says {right!r}"
