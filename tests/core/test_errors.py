"""What errors say: what happened, to which process, and what to do; and that the ids are fields."""

from __future__ import annotations

import pytest

from tenure import errors as e

CASES: list[tuple[e.TenureError, dict[str, object], str]] = [
    (
        e.EffectKeyReused("p", "a"),
        {"process_id": "p", "key": "a"},
        "process 'p' used the effect key 'a' twice in one attempt; give each effect its own key",
    ),
    (
        e.LeaseLost("p"),
        {"process_id": "p"},
        (
            "this attempt no longer holds process 'p': its lease was lost or its time is spent; "
            "whatever it does from here on is not recorded"
        ),
    ),
    (
        e.HandlerStopped("p", "drain"),
        {"process_id": "p", "reason": "drain"},
        "the handler of process 'p' stops because it was told to: drain",
    ),
    (
        e.WaitTimeout("p", 1.5),
        {"process_id": "p", "timeout": 1.5},
        "process 'p' had not ended after 1.5 s; it goes on, wait again to see its end",
    ),
    (
        e.ProcessFailed("p", "ValueError", "bad", "no"),
        {"process_id": "p", "failure_class": "ValueError", "code": "bad", "message": "no"},
        "process 'p' failed: ValueError (bad): no",
    ),
    (
        e.ProcessCancelled("p", ""),
        {"process_id": "p", "process_reason": ""},
        "process 'p' was cancelled",
    ),
    (
        e.ProcessCancelled("p", "why"),
        {"process_id": "p", "process_reason": "why"},
        "process 'p' was cancelled: why",
    ),
    (
        e.RequestRefused("held", "p", "someone holds p"),
        {"process_id": "p", "reason": "held"},
        "someone holds p",
    ),
    (
        e.NotJson("the payload", "$.a", "no"),
        {"what": "the payload", "path": "$.a", "reason": "no"},
        "the payload is not JSON at $.a: no",
    ),
    (
        e.TooLarge("the payload", 5, 4),
        {"what": "the payload", "size": 5, "limit": 4},
        "the payload takes 5 bytes; the limit is 4. Store it elsewhere and pass a reference.",
    ),
    (
        e.Misuse("no", "state", 7),
        {"reason": "no", "state": "state", "event": 7, "process_id": ""},
        (
            "int cannot happen in str: no. This is a mistake of the adapter that drives the machine; the state is "
            "unchanged."
        ),
    ),
    (
        e.Misuse("no", "state", 7, "p"),
        {"reason": "no", "state": "state", "event": 7, "process_id": "p"},
        (
            "int cannot happen in str (process 'p'): no. This is a mistake of the adapter that drives the machine; the "
            "state is unchanged."
        ),
    ),
]


@pytest.mark.parametrize(("error", "fields", "says"), CASES, ids=lambda case: type(case).__name__)
def test_fields_and_message(error: e.TenureError, fields: dict[str, object], says: str) -> None:
    assert vars(error) == fields
    assert str(error) == says


def test_every_error_has_one_root() -> None:
    found = [value for value in vars(e).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) > 20
    for kind in found:
        assert issubclass(kind, e.TenureError), kind
        assert kind.__doc__, kind


def test_waiting_too_long_is_a_timeout_to_everybody() -> None:
    assert issubclass(e.WaitTimeout, TimeoutError)
    assert issubclass(e.InvalidValue, ValueError)
