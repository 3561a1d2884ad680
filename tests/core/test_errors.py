"""What errors say: what happened, to which process, and what to do; and that the ids are fields."""

from __future__ import annotations

import pytest

from tenure import errors as e

CASES = [
    (e.EffectKeyReused("p", "a"), {"process_id": "p", "key": "a"}, "give each effect its own key"),
    (e.LeaseLost("p"), {"process_id": "p"}, "no longer holds process 'p'"),
    (e.WaitTimeout("p", 1.5), {"process_id": "p", "timeout": 1.5}, "had not ended after 1.5 s"),
    (
        e.ProcessFailed("p", "ValueError", "bad", "no"),
        {"process_id": "p", "failure_class": "ValueError", "code": "bad", "message": "no"},
        "process 'p' failed: ValueError (bad): no",
    ),
    (e.ProcessCancelled("p", ""), {"process_id": "p", "process_reason": ""}, "process 'p' was cancelled"),
    (e.ProcessCancelled("p", "why"), {"process_id": "p", "process_reason": "why"}, "was cancelled: why"),
    (
        e.RequestRefused("held", "p", "someone holds p"),
        {"process_id": "p", "reason": "held"},
        "someone holds p",
    ),
    (e.NotJson("the payload", "$.a", "no"), {"what": "the payload", "path": "$.a", "reason": "no"}, "at $.a"),
    (e.TooLarge("the payload", 5, 4), {"what": "the payload", "size": 5, "limit": 4}, "takes 5 bytes"),
    (e.Misuse("no", "state", "event"), {"state": "state", "event": "event", "process_id": ""}, "in str: no"),
]


@pytest.mark.parametrize(("error", "fields", "says"), CASES, ids=lambda case: type(case).__name__)
def test_fields_and_message(error: e.TenureError, fields: dict[str, object], says: str) -> None:
    assert {name: getattr(error, name) for name in fields} == fields
    assert says in str(error)


def test_every_error_has_one_root() -> None:
    found = [value for value in vars(e).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) > 20
    for kind in found:
        assert issubclass(kind, e.TenureError), kind
        assert kind.__doc__, kind


def test_waiting_too_long_is_a_timeout_to_everybody() -> None:
    assert issubclass(e.WaitTimeout, TimeoutError)
    assert issubclass(e.InvalidValue, ValueError)
