"""JSON from the command line."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click


class TakesPayload(click.Command):
    """A command whose last argument is JSON: it may be a negative number, which click would take for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [param for param in self.params if isinstance(param, click.Option) and not param.is_flag]
        return super().parse_args(ctx, _number_last(args, {name for one in options for name in one.opts}))


def _number_last(args: list[str], valued: set[str]) -> list[str]:
    """The arguments, with a negative number that follows a positional one behind `--`, where nothing is an option.
    `valued` are the options that take the argument after them, whatever that is."""
    at, positional = 0, False
    while at < len(args) and args[at] != "--":
        if args[at] in valued:
            at += 1
        elif not args[at].startswith("-"):
            positional = True
        elif positional and args[at][1:2].isdecimal():
            return [*args[:at], *args[at + 1 :], "--", args[at]]
        at += 1
    return args


def payload_of(text: str | None) -> Any:
    """The value of a JSON argument: None without one, `-` reads stdin. Raises click.UsageError where it is not JSON."""
    if text is None:
        return None
    return _parsed(_stdin() if text == "-" else text)


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the payload on stdin is no text: {error}") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError:
        raise click.UsageError("the payload is not JSON that tenure takes: it is nested too deep") from None
    except ValueError as error:
        hint = "; in a shell, quote it: '\"text\"'" if _bare_word(text) else ""
        raise click.UsageError(f"the payload is not JSON: {error}{hint}") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON allows a key twice, and every reader takes another of the two: nothing is dropped in silence here."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _bare_word(text: str) -> bool:
    return text[:1].isalpha()
