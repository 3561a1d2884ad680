"""How the command ends: its exit codes, and which of them an error means."""

from __future__ import annotations

import errno
import json
from typing import Any, NoReturn

import click

from tenure.errors import (
    ForkedProcess,
    InvalidValue,
    RequestRefused,
    StoreUnavailable,
    StoreUnknown,
    StoreUnusable,
    TenureError,
    WaitTimeout,
    WorkerRefused,
)

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
STORE = 4
TIME_OUT = 124
INTERRUPTED = 130

TABLE = """\b
Exit codes:
  0    done; for `wait`: the process succeeded
  1    failed: the process failed or was cancelled, the worker crashed or left
       handlers behind, the demo's audit does not hold, a property is broken
  2    usage: an option, a URL, a payload, an import path
  3    refused: no such process, another content under the same id, ...
  4    the store cannot be reached, or cannot be used
  124  the time given to `wait` was up; the process goes on
  130  interrupted"""


def end(message: str, code: int) -> NoReturn:
    """End the command with one sentence on stderr and that exit code."""
    say(f"Error: {message}")
    raise click.exceptions.Exit(code)


def code_of(error: TenureError) -> int:
    """The exit code that the error means."""
    match error:
        case WaitTimeout():
            return TIME_OUT
        case InvalidValue() | ForkedProcess():
            return USAGE
        case RequestRefused() | WorkerRefused():
            return REFUSED
        case StoreUnusable() | StoreUnavailable() | StoreUnknown():
            return STORE
        case _:
            return STORE if isinstance(error.__cause__, StoreUnusable) else FAILED


class Commands(click.Group):
    """A group in which trouble is one sentence and an exit code, never a traceback: it was the user's to hear of."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as they were added, which is how they are used

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TenureError as error:
            end(str(error), code_of(error))
        except KeyboardInterrupt:
            end("interrupted", INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly: the reader of our output has seen enough
            end(f"the operating system refused: {error}", FAILED)


def say(message: str) -> None:
    """A message for people, on stderr."""
    click.echo(printable(message), err=True)


def data(text: str) -> None:
    """A line of data, on stdout."""
    click.echo(printable(text))


def data_json(body: object) -> None:
    """One JSON value on stdout, in ASCII, so that no locale and no control character can spoil it."""
    click.echo(json.dumps(body, indent=2))


def printable(text: str) -> str:
    """The text with what a terminal would obey (escape sequences, carriage returns) shown as an escape instead."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
