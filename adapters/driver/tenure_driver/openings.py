"""Sessions that are opened in the loop, between the machine's OpenSession and the start of the handler."""

from __future__ import annotations

from enum import Enum

from attrs import define, field

from tenure.attempt_types import Opening, OpenSession
from tenure.process import own_session
from tenure.router import Router
from tenure_driver.messages import OpeningOver


class Opens(Enum):
    """Which processes are rebuilt in the loop before their handlers start. A process's own session is opened at its
    first use: nobody else writes to it under a lease, and who never uses it pays nothing. So OWNERS leaves those
    processes out; ALL does not, where something has to be started, or asked for, around each of them."""

    NONE = "none"
    OWNERS = "owners"
    ALL = "all"


@define(eq=False)
class Openings:
    """The attempts whose OpenSession is with the loop."""

    wanted: Opens
    _tokens: set[int] = field(factory=set[int])

    def begins(self, command: OpenSession) -> bool:
        """Whether the loop has to open this one."""
        own = command.owner_scope == own_session(command.process_id)
        if self.wanted is Opens.NONE or (own and self.wanted is Opens.OWNERS):
            return False
        self._tokens.add(command.token)
        return True

    def started(self, token: int) -> None:
        """The handler starts: it has what was opened."""
        self._tokens.discard(token)

    def over(self, router: Router) -> list[OpeningOver]:
        """What is not wanted any more: the attempt was cancelled, released or lost meanwhile."""
        if not self._tokens:
            return []
        ended = [one for one in sorted(self._tokens) if not isinstance(router.attempts.get(one), Opening)]
        self._tokens.difference_update(ended)
        return [OpeningOver(token) for token in ended]
