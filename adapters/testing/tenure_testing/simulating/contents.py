"""Judges what is kept: what was registered and recorded first, remembered apart from the core and the store, against
what leases, records and journals show of it, and against what handlers make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from attrs import field, frozen

from tenure.canonical import NULL, Json, parsed
from tenure.process import Failure, Fence, Record, Registration, Success, Work
from tenure.replies import Claimed, EffectsRead, Got, Listed
from tenure.requests import Claim, ClaimNext, Complete, ReadEffects, RecordEffect, Register, Request
from tenure_testing.simulating.rows import Violation
from tenure_testing.simulating.scripts import ScriptFailed


class Kept(NamedTuple):
    """An effect as it has to be read: the first writer's."""

    key: str
    fingerprint: str
    result: Json
    token: int


@frozen
class Known:
    """A process as it was registered, and its effects by key."""

    registration: Registration
    seq: int
    effects: dict[str, Kept] = field(factory=dict[str, Kept])


class Contents:
    """`met` counts what was met."""

    def __init__(self, met: Counter[str]) -> None:
        self._met = met
        self._known: dict[str, Known] = {}

    def apply(self, request: Request, reply: Any, new: bool) -> None:
        """A request was accepted; `new`: it changed its row. Raises Violation."""
        match request:
            case Register(registration=registration):
                self._registered(registration, reply.seq)
            case ClaimNext() | Claim():
                self._claimed(request, reply)
            case RecordEffect(fence=fence, key=key) if new:
                kept = Kept(key, request.fingerprint, request.result, fence.token)
                self._known[fence.process_id].effects[key] = kept
            case ReadEffects():
                self._read(request, reply)
            case Complete() if new:
                self._completed(request)
            case _:
                if isinstance(reply, Got):
                    self.look([reply.record])
                elif isinstance(reply, Listed):
                    self.look(reply.records)

    def forget(self, processes: Iterable[str]) -> None:
        """These were pruned: what is registered under such an id from now on is another process."""
        for process in processes:
            del self._known[process]

    def look(self, records: Iterable[Record]) -> None:
        """Each record shows what was registered (S21)."""
        for record in records:
            known = self._known.get(record.id)
            if known is None:
                raise Violation("S1", f"{record.id} is shown, and nobody registered it")
            if (record.registration, record.seq) != (known.registration, known.seq):
                raise Violation(
                    "S21", f"{record.id} is shown as {record.registration}, number {record.seq}; {known}"
                )

    def _registered(self, registration: Registration, seq: int) -> None:
        """The same id with another content is a conflict (S10)."""
        known = self._known.setdefault(registration.id, Known(registration, seq))
        if (known.registration, known.seq) != (registration, seq):
            raise Violation("S10", f"{registration}, number {seq}, was accepted beside {known}")

    def _claimed(self, request: ClaimNext | Claim, reply: Claimed) -> None:
        """What a worker is given is what was registered, under the claim that asked for it (S19, S21)."""
        for grant in reply.grants:
            record = grant.record
            if grant.fence != Fence(record.id, request.claim, record.token) or record.claim != request.claim:
                raise Violation("S19", f"{request.claim} was given {grant.fence} with the record {record}")
            if isinstance(request, ClaimNext) and record.registration.kind not in request.filter.kinds:
                raise Violation(
                    "S19", f"{request.claim} was given {record.id}, whose kind it did not ask for"
                )
        self.look(grant.record for grant in reply.grants)

    def _read(self, request: ReadEffects, reply: EffectsRead) -> None:
        """A page of a journal has what was recorded, in the order of keys, and says whether there is more (S21)."""
        known = self._known.get(request.process_id)
        kept = known.effects if known is not None else {}
        expected = [kept[key] for key in sorted(kept) if key > request.after][: request.limit]
        said = f"a read of the effects of {request.process_id} after {request.after!r}"
        shown = [Kept(one.key, one.fingerprint, one.result, one.token) for one in reply.effects]
        if shown != expected:
            raise Violation("S21", f"{said} has {shown}, expected {expected}")
        if reply.next != (expected[-1].key if len(expected) == request.limit else None):
            raise Violation("S21", f"{said} goes on after {reply.next!r}")

    def _completed(self, request: Complete) -> None:
        """A script that ended well returned what was recorded of its effects, each in its place; one fails only where
        it says so."""
        outcome, process = request.outcome, request.fence.process_id
        known = self._known[process]
        if not isinstance(outcome, Success) and not (
            isinstance(outcome, Failure) and outcome.code == ScriptFailed.code
        ):
            return
        assert isinstance(known.registration.input, Work)
        script = cast("list[list[Any]]", parsed(known.registration.input.payload))
        raises = any(operation == "raise" for operation, *_ in script)
        if raises == isinstance(outcome, Success):
            raise Violation("S17", f"{process} ended by {outcome}, which its script {script} does not say")
        if isinstance(outcome, Success):
            keys = [given[0] for operation, *given in script if operation == "effect"]
            recorded = [known.effects[key].result for key in keys if key in known.effects]
            expected = [parsed(result) for result in recorded]
            if outcome.control != NULL or len(recorded) < len(keys) or parsed(outcome.value) != expected:
                raise Violation(
                    "delivery", f"{process} ended by {outcome}; {keys} were recorded as {recorded}"
                )
            self._met["result as recorded"] += bool(keys)
