"""What a handler asks under its lease, and what becomes of the answers: a reply, or an error that names the process."""

from __future__ import annotations

from typing import Any

from tenure.asks import Act, AskFunction
from tenure.attempt_types import Permitted
from tenure.errors import EffectMismatch, LeaseLost, RequestRefused, UndeclaredEvent
from tenure.instants import Instant
from tenure.process import Fence
from tenure.replies import Reason, Refused, Succeeded
from tenure.requests import EmitEvent, RecordEffect


async def permitted(ask: AskFunction, fence: Fence) -> Instant | None:
    """Until when, in local time, the holder may act, or None: the machine is asked, so the answer is as fresh as can
    be (S13)."""
    reply = await ask(Act(fence.token, None))
    return reply.until if isinstance(reply, Permitted) else None


async def leave(ask: AskFunction, fence: Fence) -> None:
    """Return where the holder may act. Raises LeaseLost."""
    if await permitted(ask, fence) is None:
        raise LeaseLost(fence.process_id)


async def act(ask: AskFunction, request: RecordEffect | EmitEvent, name: str) -> Any:
    """The reply to the request, which is about the effect, or the event type, `name`.

    Raises EffectMismatch, UndeclaredEvent, RequestRefused, LeaseLost.
    """
    process_id = request.fence.process_id
    answer = await ask(Act(request.fence.token, request))
    match answer:
        case Succeeded():
            return answer.reply
        case Refused(reason=Reason.EFFECT_MISMATCH):
            raise EffectMismatch(process_id, name, answer.detail)
        case Refused(reason=Reason.UNDECLARED_EVENT | Reason.RESERVED_EVENT):
            todo = "" if answer.reason is Reason.RESERVED_EVENT else "; list it in the kind's emits"
            said = f"process {process_id!r} may not emit {name!r}: {answer.detail}{todo}"
            raise UndeclaredEvent(answer.reason.value, process_id, said)
        case Refused():
            why = f"{answer.reason.value} {answer.detail}".rstrip()
            said = f"process {process_id!r}: the store refused {name!r}: {why}"
            raise RequestRefused(answer.reason.value, process_id, said)
        case _:
            raise LeaseLost(process_id)
