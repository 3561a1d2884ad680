"""The law of a store after something went wrong in the middle of a batch (CONTRACT §2-§5, S1, S10, S11, S18, S21).

The batch is applied entirely or not at all; not before its COMMIT was sent, surely after it ran; what was answered is
there; the same batch again is answered as the reference answers it, and the store goes on from there as it does.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, cast

from attrs import fields, frozen, has

from tenure.replies import Answer, Unavailable, Unknown
from tenure.requests import Complete
from tenure.stores import ProcessRegistry
from tenure_testing.crashing.story import Fate, Page, told


@frozen
class Breach:
    """A law that does not hold, and what was seen."""

    law: str
    said: str


@frozen
class Circumstance:
    """What happened: `ran` says whether COMMIT was executed, `answers` what the caller got, or None where it died
    first."""

    ran: bool
    answers: Sequence[Answer] | None = None


def breaches(store: ProcessRegistry, page: Page, what: Circumstance) -> Generator[Breach]:
    """What does not hold of a store that got the page's batch and met the circumstance; `store` reads a clock that
    stands at the page's. The store is used on: asked again, and for the next chapter."""
    state = told(store)
    if what.answers is not None:
        yield from _wrong_answers(state, page, what.answers)
    before, after = page.lost.state, page.applied.state
    if state not in (before, after):
        closest = after if what.ran else before
        yield Breach("S22", f"the batch is applied by half (CONTRACT §5): {difference(state, closest)}")
        return
    if _granted(what.answers) and not what.ran and before != after:
        yield Breach(
            "S21", "the batch was answered before its COMMIT was executed: a crash now would lose it"
        )
    elif what.ran and state != after:
        yield Breach("S21", f"COMMIT had run, and the batch is gone: {difference(state, after)}")
    elif not what.ran and before != after and state == after:
        yield Breach("S18", "the batch is applied before its COMMIT was executed (CONTRACT §2)")
    yield from _goes_on(store, page, page.applied if state == after else page.lost)


def _granted(answers: Sequence[Answer] | None) -> bool:
    """Whether the caller has answers that are about what is applied."""
    return bool(answers) and not any(isinstance(answer, Unavailable | Unknown) for answer in answers or ())


def _wrong_answers(state: object, page: Page, answers: Sequence[Answer]) -> Generator[Breach]:
    kinds = {type(answer) for answer in answers}
    if len(answers) != len(page.batch) or (len(kinds) > 1 and kinds & {Unavailable, Unknown}):
        yield Breach("CONTRACT §5", f"a batch shares its fate, and was answered {list(answers)!r}")
    elif kinds == {Unavailable}:
        if state != page.lost.state:
            yield Breach("S18", "the batch was answered Unavailable, which is surely not applied, and it is")
    elif kinds != {Unknown}:
        if tuple(answers) != page.answers:
            yield Breach(
                "S1", f"answered otherwise than by the reference: {difference(tuple(answers), page.answers)}"
            )
        if state != page.applied.state:
            yield Breach(
                "S21", f"the batch was answered, and is gone: {difference(state, page.applied.state)}"
            )


def _goes_on(store: ProcessRegistry, page: Page, fate: Fate) -> Generator[Breach]:
    again = tuple(store.execute(page.asked_again))
    if again != fate.again:
        completes = all(
            isinstance(request, Complete)
            for request, one, two in zip(page.asked_again, again, fate.again, strict=True)
            if one != two
        )
        law = "S11" if completes else "S10"
        yield Breach(law, f"the same batch again is answered otherwise: {difference(again, fate.again)}")
    state = told(store)
    if state != fate.then:
        yield Breach("S10", f"the same batch again leaves something else: {difference(state, fate.then)}")
    following = tuple(store.execute(page.next_batch))
    if following != fate.next_answers:
        yield Breach(
            "S1", f"what comes next is answered otherwise: {difference(following, fate.next_answers)}"
        )


def difference(seen: object, wanted: object) -> str:
    """Where two values differ first, in their innermost parts: `[0].reply.records[2].token: got 7, expected 9`."""
    ones, twos = _parts(seen), _parts(wanted)
    if type(seen) is type(wanted) and ones.keys() == twos.keys():
        for name, one in ones.items():
            if one != twos[name]:
                inner = difference(one, twos[name])
                return f"{name}{inner}" if inner[0] in ".[" else f"{name}: {inner}"
    return f"got {seen!r}, expected {wanted!r}"


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, tuple | list):
        return {f"[{n}]": part for n, part in enumerate(cast(Sequence[Any], value))}
    kind = cast(Any, type(value))
    return {f".{one.name}": getattr(value, one.name) for one in fields(kind)} if has(kind) else {}
