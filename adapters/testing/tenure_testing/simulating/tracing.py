"""The trace of a seed: one short line for each step that can be seen, and the hash of all of them.

Hashed with the lines is the whole content of each request when the machine hands it over, and of each answer when the
store gives it: two runs that only differ in a payload, or in the order of a tuple, are not the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha256

from tenure.process import Outcome
from tenure.replies import Answer, Claimed, Succeeded
from tenure.requests import ClaimNext
from tenure_driver import Job
from tenure_driver.messages import Inbound, Outbox, StoreCall
from tenure_testing.playing import Execution, Host, Observer, World

BLOCK = 256
"""Lines that are hashed together."""


class Trace(Observer):
    """`last` are the newest lines, for whoever reads about a failure; `hash` is over all."""

    def __init__(self, world: World, kept: int = 40) -> None:
        self._world = world
        self._sha = sha256()
        self._lines: list[str] = []
        self._contents: list[str] = []
        self.last: deque[str] = deque(maxlen=kept)
        self.count = 0

    def _line(self, what: str, content: str = "") -> None:
        """`content` is hashed, too, and too long to be read."""
        self._lines.append(f"{self._world.now} {what}")
        if content:
            self._contents.append(content)
        if len(self._lines) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        self.count += len(self._lines)
        self.last.extend(self._lines)
        self._sha.update("\n".join([*self._lines, *self._contents, ""]).encode())
        self._lines.clear()
        self._contents.clear()

    @property
    def hash(self) -> str:
        """Of all lines so far."""
        self._flush()
        return self._sha.hexdigest()

    def turned(self, host: Host, inbox: Sequence[Inbound], box: Outbox) -> None:
        calls = " ".join([f"{type(call.request).__name__}#{call.id}" for call in box.calls])
        said = f"{host.name} turns {len(inbox)}>{len(box.loop)} wake {box.wake_at} {calls}"
        self._line(said, "".join([_content(call) for call in box.calls]))

    def declined(self, host: Host, calls: Sequence[StoreCall]) -> None:
        self._line(f"{host.name} drops {[call.id for call in calls]}")

    def executed(self, execution: Execution) -> None:
        sender = execution.sender.name if execution.sender else "-"
        pairs = zip(execution.requests, execution.answers, strict=True)
        said = " ".join([f"{type(request).__name__}:{_answer(answer)}" for request, answer in pairs])
        contents = "".join([repr(answer) for answer in execution.answers if not _empty(answer)])
        self._line(f"store {execution.at} {sender}/{execution.sending} {said}", contents)

    def heard(self, host: Host, calls: Sequence[StoreCall], answers: Sequence[Answer]) -> None:
        pairs = zip(calls, answers, strict=True)
        said = " ".join([f"{call.id}:{type(answer).__name__}" for call, answer in pairs])
        self._line(f"{host.name} hears {said}")

    def started(self, host: Host, job: Job) -> None:
        self._line(f"{host.name} starts {job.ctx.id} {job.token}")

    def ended(self, host: Host, job: Job, outcome: Outcome | None) -> None:
        self._line(f"{host.name} ends {job.ctx.id} {job.token} {outcome}")

    def happened(self, what: str, host: Host | None) -> None:
        self._line(f"{host.name if host else 'store'} {what}")


def _content(call: StoreCall) -> str:
    """All of the request. Claims, most of which are in vain, are told shorter."""
    request = call.request
    if isinstance(request, ClaimNext):
        claim, wanted = request.claim, request.filter
        kinds = f"{wanted.profile} {wanted.kinds} {wanted.exclude}"
        return f"{claim.owner} {claim.n} {request.ttl} {request.limit} {kinds}"
    return f"{request!r} {call.not_after}"


def _empty(answer: Answer) -> bool:
    """Whether there is no more to it than its line has."""
    return isinstance(answer, Succeeded) and isinstance(answer.reply, Claimed) and not answer.reply.grants


def _answer(answer: Answer) -> str:
    if not isinstance(answer, Succeeded):
        return type(answer).__name__
    reply = answer.reply
    if isinstance(reply, Claimed):
        return "+".join([f"{grant.record.id}@{grant.fence.token}" for grant in reply.grants]) or "nothing"
    stamp = getattr(reply, "stamp", None)
    return str(stamp.version) if stamp is not None else "read"
