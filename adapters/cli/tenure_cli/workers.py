"""The command `tenure worker`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenure.timings import LeaseTimings
from tenure_cli.exits import say
from tenure_cli.loading import load_app
from tenure_cli.options import shown, store_option
from tenure_cli.running import run_worker
from tenure_cli.signals import Draining

if TYPE_CHECKING:
    from tenure_driver import Options


@click.command(short_help="Run the handlers of an application.")
@click.argument("app_path", metavar="MODULE:APP")
@store_option
@click.option("--loop", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True)
@click.option(
    "--max-running", type=click.IntRange(min=1), default=100, show_default=True, help="Handlers at once."
)
@click.option("--name", help="A name for people; two workers may share it.")
@click.option("--profile", default="", help="Also claim processes of this host profile.")
@click.option(
    "--grace",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a drain lets handlers go on.",
)
@click.option("--ttl", type=float, metavar="SECONDS", help="How long a lease lasts.  [default: 30]")
@click.option("--renew-interval", type=float, metavar="SECONDS", help="Between renewals.  [default: ttl/3]")
@click.option(
    "--call-timeout", type=float, metavar="SECONDS", help="For one call of the store.  [default: ttl/10]"
)
@click.option("--margin", type=float, metavar="SECONDS", help="For clocks that drift.  [default: ttl/30]")
@click.option("--stop-grace", type=float, metavar="SECONDS", help="For a handler to stop.  [default: ttl/6]")
@click.option(
    "--completion-patience",
    type=float,
    metavar="SECONDS",
    help="For an outcome past the deadline.  [default: ttl]",
)
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Record what the worker does, for `tenure verify-trace`.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_context
def worker(
    ctx: click.Context,
    app_path: str,
    url: str,
    loop: str,
    max_running: int,
    name: str | None,
    profile: str,
    grace: float,
    ttl: float | None,
    renew_interval: float | None,
    call_timeout: float | None,
    margin: float | None,
    stop_grace: float | None,
    completion_patience: float | None,
    trace: Path | None,
    log_level: str,
) -> None:
    """Run the handlers of the application MODULE:APP on the processes of a store, again and again.

    The working directory is searched for MODULE first. SIGTERM or SIGINT drains: no new claim, handlers get --grace
    seconds, then they are cancelled; the second signal ends the worker at once. Exits 0 after a clean drain, 1 after
    a crash or a drain that left handlers behind, 4 for a store that cannot be used.
    """
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    app = load_app(app_path)
    scaled = LeaseTimings.scaled(30.0 if ttl is None else ttl)
    timings = LeaseTimings(
        scaled.ttl,
        scaled.renew_interval if renew_interval is None else renew_interval,
        scaled.call_timeout if call_timeout is None else call_timeout,
        scaled.margin if margin is None else margin,
        scaled.stop_grace if stop_grace is None else stop_grace,
        completion_patience,
    )
    options: Options = {"max_running": max_running, "timings": timings, "grace": grace, "profile": profile}
    if name is not None:
        options["name"] = name
    if trace is not None:
        from tenure_testing.histories import TraceTap

        # Those of the stores that come with tenure leave no version out.
        dense = url.partition(":")[0] in ("memory", "sqlite")
        options["tap"] = ctx.with_resource(TraceTap(trace, dense=dense))

    def ready(opened: Draining) -> None:
        kinds = ", ".join(sorted(app.kinds))
        say(f"worker {opened.name} is ready: store {shown(url)}, loop {loop}, kinds {kinds}")

    ctx.exit(run_worker(app, url, loop, options, ready))
