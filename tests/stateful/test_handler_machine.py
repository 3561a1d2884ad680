"""The machine of handlers: a sound handler survives whatever is drawn, and one that is not is found out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

import tenure
from tenure.process import Outcome, Success
from tenure_testing.playing import sleep
from tenure_testing.stateful import HandlerMachine, Started
from tests.stateful.stores_in_lockstep import run


class Charging(HandlerMachine):
    """Each process charges an account once, in two steps, and tells of it."""

    payloads: ClassVar[Mapping[str, st.SearchStrategy[Any]]] = {"charge": st.integers(1, 9)}

    def make_app(self) -> tenure.App:
        self.charged: dict[str, int] = {}
        self.told: Counter[str] = Counter()
        app = tenure.App()

        @app.process("charge", emits=["charged"])
        async def charge(ctx: tenure.Context, amount: int) -> int:
            await sleep(0.5)
            receipt = await ctx.effect("charge", self.charge, ctx.id, amount)
            await ctx.emit("charged", receipt, key="once")
            await sleep(20)
            return receipt

        return app

    def charge(self, key: str, amount: int) -> int:
        """The bank takes a key once, so that a repeated call changes nothing."""
        return self.charged.setdefault(key, amount)

    def check_outcome(self, process: Started, outcome: Outcome) -> None:
        super().check_outcome(process, outcome)
        if isinstance(outcome, Success):
            assert outcome.value == str(process.payload) == str(self.charged[process.id])
            told = [event for event in self.world.client.events(process.id) if event.type == "charged"]
            assert len(told) == 1


class ChargingTwice(Charging):
    """A bank that takes whatever it is told: an effect that was under way in a crash is charged again."""

    def charge(self, key: str, amount: int) -> int:
        self.charged[key] = self.charged.get(key, 0) + amount
        return self.charged[key]


class Forgetting(Charging):
    """A handler that acts outside of an effect: whoever runs it again acts again."""

    def make_app(self) -> tenure.App:
        app = super().make_app()
        self.total = 0

        @app.process("forget")
        async def forget(ctx: tenure.Context, amount: int) -> int:
            self.told[ctx.id] += 1
            await sleep(3)
            return self.told[ctx.id]

        return app

    payloads: ClassVar[Mapping[str, st.SearchStrategy[Any]]] = {"forget": st.integers(1, 9)}

    def check_outcome(self, process: Started, outcome: Outcome) -> None:
        assert self.told[process.id] <= 1, "acted twice"


def test_a_sound_handler_survives_everything() -> None:
    run(Charging, 100)


@pytest.mark.parametrize("machine", [ChargingTwice, Forgetting])
def test_one_that_is_not_is_found_out(machine: type[HandlerMachine]) -> None:
    few = settings(
        max_examples=60,
        stateful_step_count=50,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=few)
