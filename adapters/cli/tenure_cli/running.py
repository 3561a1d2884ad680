"""A worker in this operating system's process: its loop, its signals, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tenure.errors import TenureError
from tenure.plugins import AnyPlugin
from tenure_cli.exits import DONE, FAILED, code_of, say
from tenure_cli.signals import Draining, Signals, leave

if TYPE_CHECKING:
    from tenure_driver import Options


def run_worker(
    app: AnyPlugin, url: str, loop: str, options: Options, when_ready: Callable[[Draining], None]
) -> int:
    """Drive the application's processes until a signal asks for the end; the exit code.

    Exit 0 after a clean drain. After any other end handlers may still run in threads that would be waited for, so
    that this never returns then: 1 after a crash or a drain that left handlers behind, 4 for a store that became
    unusable. Raises what opening the worker raises: nothing runs yet.
    """
    opened = False

    async def body(open_worker: Callable[..., Any]) -> int:
        nonlocal opened
        async with open_worker(app, url, **options) as worker:
            opened = True
            with signals.draining(worker):
                when_ready(worker)
                left: int = await worker.finished()
            if left:
                say(
                    f"drained, but {left} handlers did not stop and were left behind; their leases will expire"
                )
                leave(FAILED)
        return DONE

    opener = _opener(loop)
    with Signals() as signals:
        try:
            if loop == "trio":
                import trio

                return trio.run(body, opener)
            import asyncio

            return asyncio.run(body(opener))
        except BaseException as error:
            if not opened:
                raise
            _said_and_left(error)


def _opener(loop: str) -> Callable[..., Any]:
    if loop == "asyncio":
        import tenure_asyncio

        return tenure_asyncio.worker
    try:
        import tenure_trio
    except ModuleNotFoundError as missing:
        if missing.name != "trio":
            raise
        raise click.UsageError(
            "--loop trio needs trio, which is not installed: pip install 'tenure[trio]'"
        ) from None
    return tenure_trio.worker


def _said_and_left(error: BaseException) -> NoReturn:
    if isinstance(error, TenureError):
        say(f"Error: {error}")  # its cause is among its words
        leave(code_of(error))
    logging.getLogger("tenure").critical("the worker ended by an error of tenure's own", exc_info=error)
    leave(FAILED)
