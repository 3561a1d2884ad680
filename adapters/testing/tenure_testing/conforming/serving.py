"""The other end of the protocol: a store of ours, or of a user, under test. `tenure conform --serve URL` is this."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field

from tenure.errors import TenureError
from tenure.stores import ProcessRegistry
from tenure_testing.conforming.hosts import Host, Unable
from tenure_testing.conforming.vectors import (
    PROTOCOL,
    Answers,
    Command,
    Done,
    Execute,
    Greeting,
    Hello,
    Load,
    New,
    Reopen,
    Response,
    Trouble,
    line_of,
)
from tenure_testing.conforming.wire import Garbled, from_json, from_line, to_json
from tenure_testing.registry_world import ManualClock


@define
class Server:
    """One store at a time, under a clock that the commands set."""

    host: Host
    clock: ManualClock = field(factory=ManualClock)
    _store: ProcessRegistry | None = None

    def answer(self, command: Command) -> Response:
        """What the protocol wants; trouble is an answer too."""
        try:
            match command:
                case Hello():
                    return Greeting(PROTOCOL, self.host.name, self.host.can)
                case New():
                    self._replace(lambda: self.host.new(command.limits, self.clock))
                case Load():
                    self._replace(lambda: self.host.load(command.state, self.clock))
                case Reopen():
                    self._replace(lambda: self.host.reopen(self.clock))
                case Execute():
                    if self._store is None:
                        return Trouble("there is no store yet: New or Load comes first")
                    self.clock.now = command.now
                    return Answers(tuple(self._store.execute(command.requests)))
        except (Unable, TenureError) as error:
            return Trouble(str(error))
        return Done()

    def close(self) -> None:
        """Let go of the store and of its host."""
        self._leave()
        self.host.close()

    def _replace(self, make: Callable[[], ProcessRegistry]) -> None:
        self._leave()
        self._store = make()

    def _leave(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def serve(host: Host, lines: Iterable[str], write: Callable[[str], object]) -> None:
    """Answer each line with a line until there are no more."""
    server = Server(host)
    try:
        for line in lines:
            try:
                command: Command = from_line(line, Command)
            except (ValueError, Garbled) as error:
                response: Response = Trouble(f"this line is not of the protocol: {error}")
            else:
                response = server.answer(command)
            write(line_of(response, Response))
    finally:
        server.close()


@define
class Local:
    """A `Subject` in this very process: what is asked and answered goes through JSON, but through no pipe."""

    server: Server

    def ask(self, command: Command) -> Response:
        """The server's answer."""
        asked: Command = from_json(to_json(command, Command), Command)
        response: Response = from_json(to_json(self.server.answer(asked), Response), Response)
        return response

    def restart(self) -> None:
        """Nothing to start."""
