"""JSON from the command line."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click


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
