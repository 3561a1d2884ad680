"""The known bugs of workers (docs/reference/properties.md §5), each shown in the smallest play not to be there."""

from __future__ import annotations

from tenure import attempt_types as t
from tenure.instants import Instant, StoreTime
from tenure.model import apply
from tenure.process import Success
from tenure.replies import Answer, Fenced, Reason, Refused, Unavailable, Unknown
from tenure.requests import ClaimNext, Complete, ReadCancels, Release, Renew, RequestCancel
from tests.core.test_router import SECOND, Driven, requests

RETURNED = Success()


class Play(Driven):
    """A worker whose first process, `a`, runs under `token`."""

    def __init__(self, slots: int = 1) -> None:
        super().__init__(slots, names=("a",))
        (self.token,) = self.start()

    def sent(self, seconds: float, kind: type = object) -> list[t.Send]:
        """What a tick at that time sends, of that kind."""
        return [c for c in self.tick(seconds) if isinstance(c, t.Send) and isinstance(c.request, kind)]

    def hears(self, send: t.Send, answer: Answer, seconds: float) -> list[t.Command]:
        """The answer, whatever the store did."""
        return self.router.answered(send.id, answer, at(seconds))

    def returns(self, seconds: float) -> list[t.Command]:
        return self.router.handler_returned(self.token, RETURNED, at(seconds))

    def stops(self, seconds: float) -> list[t.Command]:
        return self.router.handler_stopped(self.token, at(seconds))

    def cancel(self, seconds: float) -> None:
        self.model, _ = apply(self.model, RequestCancel("a", "why"), StoreTime(round(seconds * 1_000)))

    def loses(self) -> list[t.Command]:
        """At 10 s a renewal is fenced."""
        (renewal,) = self.sent(10, Renew)
        return self.hears(renewal, Fenced(), 10)


def at(seconds: float) -> Instant:
    return Instant(round(seconds * SECOND))


def told(commands: list[t.Command]) -> list[t.StopReason]:
    """Why handlers are told to stop."""
    return [command.reason for command in commands if isinstance(command, t.StopHandler)]


def begun(answered: float) -> tuple[Driven, list[t.Command]]:
    """A claim that was sent at 0 s is answered then."""
    driven = Driven(names=("a",))
    (claim,) = driven.tick(0)
    return driven, driven.answer(claim, answered)


# --- claims -------------------------------------------------------------------------------------------------------


def test_the_budget_counts_from_the_sending_of_the_claim() -> None:
    """K4, S13: an answer that took 20 s leaves 4 s; one that took 25 s leaves nothing, and is given back (S12)."""
    driven, (opening,) = begun(20)
    assert isinstance(opening, t.OpenSession)
    opened = driven.router.session_opened(opening.id, at(20))
    assert [c.not_after for c in opened if isinstance(c, t.StartHandler)] == [24 * SECOND]
    _, late = begun(25)
    assert [type(request) for request in requests(late)] == [Release]
    assert not [command for command in late if isinstance(command, t.OpenSession)]


def test_a_claim_that_granted_nothing_starts_nothing() -> None:
    """K12, S12."""
    driven = Driven(names=())
    (claim,) = driven.tick(0)
    assert driven.answer(claim) == []


def test_everything_that_a_claim_got_is_begun() -> None:
    """K21, L1: nothing is held here without an attempt."""
    driven = Driven(names=("a", "b", "c"))
    (claim,) = driven.tick(0)
    assert len([c for c in driven.answer(claim) if isinstance(c, t.OpenSession)]) == 3


def test_a_claim_without_an_answer_is_sent_again_as_it_was() -> None:
    """K9, S18: it may have been granted, and L8: whatever trouble it met, it is sent again."""
    for trouble in (Unknown("no answer"), Unavailable("busy")):
        driven = Driven(names=("a",))
        (claim,) = driven.tick(0)
        assert isinstance(claim, t.Send)
        driven.router.answered(claim.id, trouble, at(0))
        assert requests(driven.tick(1)) == [claim.request]


def test_a_refused_claim_is_no_end() -> None:
    """L8: the worker looks again at the next poll."""
    driven = Driven(names=("a",))
    (claim,) = driven.tick(0)
    assert isinstance(claim, t.Send)
    driven.router.answered(claim.id, Refused(Reason.BLANK, ""), at(0))
    assert [type(request) for request in requests(driven.tick(1))] == [ClaimNext]


def test_an_idle_worker_polls() -> None:
    """L1, L9: without any hint it looks again, once a poll interval."""
    driven = Driven(names=())
    (claim,) = driven.tick(0)
    driven.answer(claim)
    assert [type(request) for request in requests(driven.tick(1.3))] == [ClaimNext]


def test_the_slot_of_a_lost_lease_is_free_once_its_handler_ended() -> None:
    """K14, L7: recovery never waits for it."""
    play = Play(slots=1)
    play.loses()
    assert play.sent(10.5, ClaimNext) == []
    play.stops(11)
    assert len(play.sent(11, ClaimNext)) == 1


# --- renewals -----------------------------------------------------------------------------------------------------


def test_a_long_handler_is_renewed_again_and_again() -> None:
    """K11, L3: one interval after the last was first sent, however late the last was answered."""
    play = Play()
    for seconds in (10, 20, 30, 40):
        (renewal,) = play.sent(seconds, Renew)
        assert told(play.answer(renewal, seconds + 2)) == []


def test_a_renewal_that_failed_is_no_loss() -> None:
    """K22, L3: it is tried again within a second, and the handler goes on."""
    for trouble in (Unavailable("busy"), Unknown("no answer")):
        play = Play()
        (renewal,) = play.sent(10, Renew)
        assert told(play.hears(renewal, trouble, 10)) == []
        (again,) = play.sent(11, Renew)
        assert told(play.answer(again, 11)) == []


def test_a_renewal_never_outlives_the_lease() -> None:
    """K15, S13: it does not leave after the deadline, and one without an answer is given up and sent again."""
    play = Play()
    (renewal,) = play.sent(10, Renew)
    assert renewal.not_after == 24 * SECOND
    assert play.sent(12.9, Renew) == []
    play.tick(13)
    assert len(play.sent(14, Renew)) == 1


def test_a_handler_that_is_stopping_is_renewed() -> None:
    """K8, L5: renewals go on until the handlers have drained, and the worker stays until then (S12)."""
    play = Play()
    play.router.drain(5 * SECOND, at(0))
    assert told(play.tick(5)) == [t.StopReason.DRAIN]
    assert play.router.stopped is None
    assert len(play.sent(10, Renew)) == 1


def test_a_drain_gives_back_what_was_stopped_and_only_then() -> None:
    """L5: no new claim; the handler is told to stop; only when it has stopped its process is released, without an
    outcome that nobody reported (S17)."""
    play = Play()
    said = play.router.drain(0, at(1)) + play.tick(1)
    assert told(said) == [t.StopReason.DRAIN]
    assert requests(said) == []
    assert [type(request) for request in requests(play.stops(2))] == [Release]
    assert play.sent(3, ClaimNext) == []


def test_a_release_waits_for_the_renewal_in_flight() -> None:
    """K16, S8, S9: the one cannot undo the other."""
    play = Play()
    play.router.drain(10 * SECOND, at(0))
    (renewal,) = play.sent(10, Renew)
    assert requests(play.stops(11)) == []
    assert [type(request) for request in requests(play.answer(renewal, 12))] == [Release]


# --- cancels, losses, ends ----------------------------------------------------------------------------------------


def test_a_cancel_comes_with_the_next_renewal() -> None:
    """K17, L4, S16: without any hint; also to a handler that a drain told to stop."""
    play = Play()
    play.cancel(5)
    (renewal,) = play.sent(10, Renew)
    assert told(play.answer(renewal, 10)) == [t.StopReason.CANCEL]
    drained = Play()
    drained.router.drain(0, at(5))
    drained.tick(5)
    drained.cancel(5)
    (renewal,) = drained.sent(10, Renew)
    assert told(drained.answer(renewal, 10)) == [t.StopReason.CANCEL]


def test_a_hint_asks_for_cancels() -> None:
    """K17, L4: a wake-up is followed by a read of what is to be cancelled."""
    play = Play()
    play.router.hinted(at(2))
    assert len(play.sent(2, ReadCancels)) == 1


def test_after_a_pause_there_is_no_time_left() -> None:
    """K7, S13: whatever comes first after a suspend, the deadline is applied before it; no leave to act, be it just
    over or long ago."""
    for seconds in (24, 28, 100):
        play = Play()
        said = play.router.asked(play.token, 7, None, at(seconds))
        assert told(said) == [t.StopReason.DEADLINE]
        assert [c.answer for c in said if isinstance(c, t.AnswerAsk)] == [Fenced()]


def test_a_loss_stops_the_handler_and_ends_all_writing() -> None:
    """L6, K5: it is told at once; S14: what it returns after that is not written."""
    play = Play()
    said = play.loses()
    assert told(said) == [t.StopReason.LEASE_LOST]
    assert requests([*said, *play.returns(11)]) == []


def test_a_last_write_is_repeated_until_patience_is_over() -> None:
    """L2, K9, S18: the same write again, also past the deadline, whatever trouble it met."""
    for trouble in (Unavailable("busy"), Unknown("no answer")):
        play = Play()
        (write,) = play.returns(5)
        for seconds in (6, 7, 30, 50):
            assert isinstance(write, t.Send)
            assert isinstance(write.request, Complete)
            play.hears(write, trouble, seconds)
            (write,) = play.sent(seconds + 1, Complete)


def test_a_handler_is_started_once() -> None:
    """S12: a session that is opened twice starts one handler."""
    driven = Driven(names=("a",))
    (claim,) = driven.tick(0)
    (opening,) = driven.answer(claim)
    assert isinstance(opening, t.OpenSession)
    starts = [
        *driven.router.session_opened(opening.id, at(0)),
        *driven.router.session_opened(opening.id, at(0)),
    ]
    assert len([start for start in starts if isinstance(start, t.StartHandler)]) == 1
    (state,) = driven.router.attempts.values()
    assert isinstance(state, t.Running)


def test_a_worker_that_is_not_durable_enough_claims_nothing() -> None:
    """S15."""
    driven = Driven(tier_fault="not durable")
    assert driven.tick(0) == []
