"""Faults that a test asks for, one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenure.requests import Request
from tenure_testing.playing.network import NO_ANSWER, UNREACHABLE, Fate, Rule, Weather, fitting

if TYPE_CHECKING:
    from tenure_testing.playing.host import Host

SECOND = 1_000_000_000
HANG = 2 * SECOND
"""How long a store thread waits for an answer that was lost, before it hears that it is Unknown."""


class Faults:
    """What becomes of each batch: by the rules that were asked for, by a partition, or by the weather."""

    now: int

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self._rules: list[Rule] = []

    @abstractmethod
    def happened(self, what: str, host: Host | None) -> None:
        """Tell the observers of a fault, or of its end."""

    def fate(self, host: Host, batch: Sequence[Request]) -> Fate:
        """What becomes of the batch: by a fault that a test asked for, by a partition, or by the weather."""
        for rule in self._rules:
            if rule.meets(host.name, batch):
                self.happened("ruled", host)
                return rule.fate
        if self.now < host.cut_there_until:
            return Fate((), HANG, NO_ANSWER)
        fate = self.weather.fate(host.name, batch)
        if self.now < host.cut_back_until:
            return Fate(fate.executes, HANG, NO_ANSWER)
        return fate

    def drop_request(
        self, kind: Any, worker: str | None = None, *, process: str | None = None, times: int = 1
    ) -> Rule:
        """The next `times` batches with such a request are lost on the way: not executed, and Unknown to the sender.

        `kind` is a request's type or a tuple of types; `worker` a name; `process` an id. `met` of what is returned
        counts how often it happened.
        """
        return self.rule(kind, Fate((), HANG, NO_ANSWER), worker, process, times)

    def drop_reply(
        self, kind: Any, worker: str | None = None, *, process: str | None = None, times: int = 1
    ) -> Rule:
        """They are executed, and the answer is lost: Unknown to the sender."""
        return self.rule(kind, Fate(heard=HANG, says=NO_ANSWER), worker, process, times)

    def refuse(
        self, kind: Any, worker: str | None = None, *, process: str | None = None, times: int = 1
    ) -> Rule:
        """They do not get through, and the sender knows: Unavailable."""
        return self.rule(kind, Fate((), says=UNREACHABLE), worker, process, times)

    def delay(
        self,
        kind: Any,
        seconds: float,
        worker: str | None = None,
        *,
        process: str | None = None,
        times: int = 1,
    ) -> Rule:
        """They arrive only after so many seconds; the sender hears of nothing before that, and if that is longer than
        a store thread waits, of nothing but Unknown."""
        late = round(seconds * SECOND)
        fate = Fate((late,), late + SECOND // 1_000) if late < HANG else Fate((late,), HANG, NO_ANSWER)
        return self.rule(kind, fate, worker, process, times)

    def double(
        self,
        kind: Any,
        seconds: float,
        worker: str | None = None,
        *,
        process: str | None = None,
        times: int = 1,
    ) -> Rule:
        """They are executed and answered, and executed again after so many seconds: a zombie request."""
        fair = Fate()
        return self.rule(
            kind, Fate((*fair.executes, round(seconds * SECOND)), fair.heard), worker, process, times
        )

    def rule(
        self,
        kind: Any,
        fate: Fate,
        worker: str | None = None,
        process: str | None = None,
        times: int = 1,
    ) -> Rule:
        """Any other fate for the next `times` batches with such a request."""
        rule = Rule(fitting(kind, process), worker, fate, times)
        self._rules.append(rule)
        return rule
