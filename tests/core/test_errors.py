"""What errors say: what happened, to which process, and what to do; and that the ids are fields."""

from __future__ import annotations

import pytest

from tenure import errors as e

CASES: list[tuple[e.TenureError, dict[str, object], str]] = [
    (
        e.EffectKeyReused("p", "a", "m.f:1", "m.g:2"),
        {"process_id": "p", "key": "a", "first": "m.f:1", "second": "m.g:2"},
        (
            "process 'p' used the effect key 'a' twice in one attempt, for m.f:1 and for m.g:2; "
            "give each effect its own key"
        ),
    ),
    (
        e.EffectMismatch("p", "a", "recorded for m.f:1, asked for m.g:2"),
        {"process_id": "p", "key": "a", "reason": "effect_mismatch"},
        (
            "process 'p': effect 'a' was recorded for m.f:1, asked for m.g:2; "
            "a changed handler needs a new key for a changed effect"
        ),
    ),
    (
        e.EffectFailed("p", "a", "OSError", "raised", "no network"),
        {
            "process_id": "p",
            "key": "a",
            "effect_class": "OSError",
            "code": "raised",
            "effect_message": "no network",
        },
        "effect 'a' of process 'p' failed: OSError (raised): no network",
    ),
    (
        e.EffectUnreadable("p", "a", "it is gone"),
        {"process_id": "p", "key": "a"},
        "effect 'a' of process 'p' was recorded, and cannot be read back: it is gone",
    ),
    (
        e.EffectHostFailed("p", "it returned None, which is no EffectScope"),
        {"process_id": "p"},
        "the effect host gave process 'p' no scope for its effects: it returned None, which is no EffectScope",
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
        {"process_id": "p", "timeout": 1.5, "event": ""},
        "process 'p' had not ended after 1.5 s; it goes on, wait again to see its end",
    ),
    (
        e.WaitTimeout("p", 1.5, "go"),
        {"process_id": "p", "timeout": 1.5, "event": "go"},
        "process 'p' got no event 'go' within 1.5 s; wait again to see the next",
    ),
    (
        e.EventMismatch("p", "progress", "no field 'done'"),
        {"process_id": "p", "event": "progress"},
        "process 'p': the payload of event 'progress' is not what its kind declares: no field 'done'",
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
