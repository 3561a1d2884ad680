"""Requests, answers, rows and outcomes as JSON values, and back: what traces and conformance vectors are written in.

A value that may be one of several things says which: `{"is": "Complete", "fence": {...}, "outcome": {"is": "Success",
...}}`. All fields are there; times are milliseconds of the store; JSON that a process
carries (payloads, results) stays the canonical text that it is, since stores compare that text.
"""

from __future__ import annotations

from typing import Any

from cattrs import BaseValidationError, Converter, transform_error
from cattrs.strategies import configure_tagged_union

from tenure.errors import InvalidValue
from tenure.process import External, Outcome, Record, Work
from tenure.replies import Answer, Reply
from tenure.requests import Request

TAG = "is"
"""The member that names what a value is."""

LONGEST_SHOWN = 80
"""Characters of a wrong value that its error shows."""


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for union in (Work | External, Outcome):  # inner ones first
        configure_tagged_union(union, converter, tag_name=TAG)
    ending: Any = Outcome | None  # cattrs tells None from a class, but not tagged classes from None
    converter.register_structure_hook(
        ending, lambda data, _: data if data is None else made(data, Outcome, "an outcome")
    )
    converter.register_unstructure_hook(ending, lambda value: value and plain(value, Outcome))
    for union in (Reply, Answer, Request):
        configure_tagged_union(union, converter, tag_name=TAG)
    return converter


_CONVERTER = _converter()


def request_json(request: Request) -> dict[str, Any]:
    """The request as a JSON value."""
    return dict(plain(request, Request))


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer as a JSON value."""
    return dict(plain(answer, Answer))


def row_json(row: Record) -> dict[str, Any]:
    """The row as a JSON value."""
    return dict(plain(row, Record))


def request_of(data: object) -> Request:
    """The request that the JSON value is. Raises InvalidValue, which names the member that is wrong."""
    request: Request = made(data, Request, "a request")
    return request


def answer_of(data: object) -> Answer:
    """The answer that the JSON value is. Raises InvalidValue."""
    answer: Answer = made(data, Answer, "an answer")
    return answer


def row_of(data: object) -> Record:
    """The row that the JSON value is. Raises InvalidValue."""
    row: Record = made(data, Record, "a row")
    return row


def plain(value: object, kind: Any) -> Any:
    """A value of the registry as a JSON value, as what it is declared to be: `Event`, `Outcome`, ..."""
    return _CONVERTER.unstructure(value, unstructure_as=kind)


def made(data: Any, kind: Any, what: str) -> Any:
    """The value of that kind, which trouble calls `what`. Raises InvalidValue."""
    try:
        return _CONVERTER.structure(data, kind)
    except BaseValidationError as wrong:
        raise InvalidValue(f"this is not {what}: {'; '.join(transform_error(wrong))}") from wrong
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        said = repr(data)
        said = said if len(said) <= LONGEST_SHOWN else said[:LONGEST_SHOWN] + "..."
        raise InvalidValue(f"this is not {what}: {said}") from wrong
