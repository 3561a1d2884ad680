"""Typed payloads, results and effects through a real worker: what does not fit is a failure that names the field."""

from __future__ import annotations

from typing import Any

import pytest

import tenure
from tenure import App, Context, Failure
from tests.adapters.loops import BOUND, Host
from tests.adapters.test_convert import JOBS, PLAIN, AttrsPart


@pytest.mark.parametrize(("job", "part"), JOBS)
def test_a_worker_takes_and_returns_each_kind_of_type(host: Host, job: Any, part: Any) -> None:
    app = App()

    async def shift(n: int) -> Any:
        return part(n=n + 1)

    async def typed(ctx: Context, given: Any) -> Any:
        assert type(given) is job
        moved = await ctx.effect("shift", shift, given.part.n)
        assert type(moved) is part
        return [moved, None]

    def plain(ctx: Any, given: Any) -> Any:
        assert [type(one) for one in given] == [job]
        return {"first": given[0]}

    # What `def typed(ctx, given: job) -> list[part | None]` would have, for each job.
    shift.__annotations__["return"] = part
    typed.__annotations__ |= {"given": job, "return": list[part | None]}
    plain.__annotations__ |= {"given": list[job], "return": dict[str, job]}
    typed_kind = app.process("typed")(typed)
    plain_kind: Any = app.process("plain")(plain)

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client, made = worker.client, job(url="x", part=part(n=1), parts=[])
            assert await (await client.start(typed_kind, made)).wait(BOUND) == [part(n=2), None]
            assert await (await client.start(plain_kind, [made])).wait(BOUND) == {"first": made}
            for wrong, field in (
                ({"part": {"n": 1}}, "$.url"),
                ({**PLAIN, "part": {"n": "x"}}, "$.part.n"),
                ({**PLAIN, "colour": 1}, "colour"),
            ):
                failed = await (await client.start("typed", wrong)).outcome(BOUND)
                assert isinstance(failed, Failure)
                assert (failed.failure_class, failed.code) == ("InvalidPayload", "invalid_payload")
                assert f"does not fit {job.__name__}: " in failed.message
                assert field in failed.message

    host.run(main)


def test_a_plain_annotation_is_a_promise_too(host: Host) -> None:
    """`n: int` is not given "x", and a handler that promised a list of texts does not end with one of numbers."""
    app = App()

    @app.process("counts")
    async def counts(ctx: Context, n: int) -> list[str]:
        return ["x"] * n

    @app.process("breaks its promise")
    def breaks(ctx: Any, n: int) -> list[str]:
        words: list[Any] = ["x", n]
        return words

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            client = worker.client
            assert await (await client.start(counts, 2)).wait(BOUND) == ["x", "x"]
            assert await (await client.start("counts", "x")).outcome(BOUND) == Failure(
                "InvalidPayload",
                "invalid_payload",
                "the value does not fit int: expected an integer, not a string @ $",
            )
            assert await (await client.start(breaks, 3)).outcome(BOUND) == Failure(
                "InvalidResult",
                "invalid_result",
                "what the handler of kind 'breaks its promise' returned: the value does not fit list[str]: "
                "expected a string, not an integer @ $[1]",
            )

    host.run(main)


def test_an_effect_that_returns_something_else_than_it_says_is_an_error_that_names_the_field(
    host: Host,
) -> None:
    app = App()

    def measure() -> tuple[AttrsPart, ...]:
        sizes: Any = [{"n": "wide"}]
        return sizes  # type: ignore[no-any-return]

    def count() -> int:
        unsaid: Any = 1.5
        return unsaid  # type: ignore[no-any-return]

    @app.process("measures")
    async def measures(ctx: Context) -> str:
        said = r"effect 'measure' .* not recorded: .* expected an integer, not a string @ \$\[0\]\.n; "
        for _ in range(2):
            with pytest.raises(tenure.InvalidValue, match=said):
                await ctx.effect("measure", measure)
        return f"seen {await ctx.effect('count', count)}"

    async def main() -> None:
        async with host.adapter.worker(app, "memory:") as worker:
            assert await (await worker.client.start(measures)).wait(BOUND) == "seen 1.5"

    host.run(main)
