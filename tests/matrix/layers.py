"""The layers of checks, the small ones first: what each runs, and on which part of the product.

A layer is run by pytest, or by a program of its own, on a copy of the tree. Where it cannot see a part (the checker
imports the core alone), or looks at it through others only (a driver over the law of rows), a bug in that part is
not its business, and its cell stays empty.
"""

from __future__ import annotations

from attrs import frozen

ROWS = tuple(f"core/tenure/{name}.py" for name in ("registry", "claims", "model", "process", "limits"))
"""The law of rows, which every store runs."""

ATTEMPTS = tuple(
    f"core/tenure/{name}.py"
    for name in ("attempt", "attempt_guards", "attempt_opening", "attempt_rules", "attempt_time", "timings")
)
"""The attempt machine."""

WORKERS = tuple(f"core/tenure/{name}.py" for name in ("worker", "router", "tiers"))
"""The worker machine, and what stands between it and the attempts."""

SESSIONS = ("core/tenure/session_model.py",)
"""The law of sessions, which every store of sessions runs."""

SESSION_ROWS = ("adapters/sqlite/tenure_sqlite/session_rows.py",)
"""What SQLite's store of sessions has for itself."""

CONTENTS = ("core/tenure/contents.py", "adapters/sqlite/tenure_sqlite/contents.py")
"""The law of attachments and artifacts, and what SQLite's store has for itself."""

EFFECTS, EVENTS, DIRECT = (
    ("core/tenure/effects.py",),
    ("core/tenure/events.py",),
    ("core/tenure/direct.py",),
)
REBUILT = tuple(f"adapters/driver/tenure_driver/{name}.py" for name in ("openings", "rebuilding"))
"""What a handler finds around its process, and what puts it there."""

STORES = ("adapters/memory/tenure_memory", "adapters/sqlite/tenure_sqlite")
COMMITS = tuple(f"adapters/sqlite/tenure_sqlite/{name}.py" for name in ("store", "link", "schema"))
"""What of SQLite's store opens files and makes transactions."""

DRIVER = ("adapters/driver/tenure_driver", "adapters/asyncio/tenure_asyncio", "adapters/trio/tenure_trio")

PACKAGES = ("core/tenure", *STORES, *DRIVER, "adapters/testing/tenure_testing")


@frozen
class Part:
    """What a layer runs for bugs in `files` (files or packages): `tests` are pytest's arguments; or `program`, a module
    and its arguments, which says what failed as pytest does: a line `E  S4: ...`, a line `FAILED name`, and exit 1."""

    files: tuple[str, ...]
    tests: tuple[str, ...] = ()
    program: tuple[str, ...] = ()

    def about(self, file: str) -> bool:
        """Whether a bug in the file is this part's business."""
        return any(f"{file}/".startswith(f"{known}/") for known in self.files)


@frozen
class Layer:
    """`says`: what it is, in a few words. The first of its `parts` that is about a file is run for it."""

    name: str
    says: str
    parts: tuple[Part, ...]

    def part(self, file: str) -> Part | None:
        """What to run for a bug in the file; None: nothing."""
        return next((part for part in self.parts if part.about(file)), None)


def _core(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/core/test_{name}.py" for name in names)


def _stores(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/stores/test_{name}.py" for name in names)


def _adapters(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/adapters/test_{name}.py" for name in names)


_BEHAVIOURS = ("running", "driving", "ending", "mistakes")

LAYERS = (
    Layer(
        "gates",
        "what the source itself shows: which clocks are read",
        (Part(("adapters/driver/tenure_driver/clocks.py",), ("tests/gates/test_clocks.py",)),),
    ),
    Layer(
        "units",
        "tables, guards, laws and rules of the core, and the known bugs, one by one and drawn",
        (
            Part(ROWS, _core("known_bugs_of_rows", "registry_rules", "registry_laws", "process", "model")),
            Part(
                ATTEMPTS,
                (
                    *_core(
                        "known_bugs",
                        "attempt_opening",
                        "attempt_table",
                        "laws",
                        "timings",
                        "router",
                        "effects",
                    ),
                    "tests/stateful/test_attempt_machine.py",
                ),
            ),
            Part(SESSIONS, _core("session_law", "session")),
            Part(CONTENTS[:1], _core("contents_law", "contents")),
            Part(
                EFFECTS,
                _core("effects", "fingerprints", "effect_attachments", "effect_failures", "effect_hosts"),
            ),
            Part(EVENTS, _core("events", "following", "event_shapes")),
            Part(DIRECT, _core("direct", "direct_runs", "direct_leases", "direct_stops")),
            Part((*SESSION_ROWS, *CONTENTS[1:]), _stores("known_bugs_of_facets")),
            Part(STORES, _stores("known_bugs_of_stores")),
            Part(WORKERS, _core("known_bugs", "worker_runs", "worker_table", "router", "tiers")),
        ),
    ),
    Layer(
        "traces",
        "what goes in and comes out of the machines, word for word",
        (Part((*ROWS, *ATTEMPTS, *WORKERS), _core("traces")),),
    ),
    Layer(
        "kit",
        "the shipped contract kit, on memory and SQLite",
        (
            Part((*SESSIONS, *SESSION_ROWS), _stores("session_contract")),
            Part(CONTENTS, _stores("contents_contract")),
            Part((*ROWS, *STORES), _stores("registry_contract")),
        ),
    ),
    Layer(
        "checker",
        "every behaviour of small configurations: in each up to its first 60,000 states or so, or whole with liveness",
        (
            Part(ROWS, program=("tests.matrix.searched", "rows")),
            Part(ATTEMPTS, program=("tests.matrix.searched", "attempts")),
            Part(SESSIONS, program=("tests.matrix.searched", "sessions")),
            Part(WORKERS, program=("tests.matrix.searched", "workers")),
        ),
    ),
    Layer(
        "machine",
        "the shipped state machine of stores: memory, SQLite and the model in lock-step, 60 runs of 60 steps; sessions "
        "and contents in lock-step, too",
        (
            Part(SESSION_ROWS, _stores("session_lockstep")),
            Part(CONTENTS, _stores("contents_alike")),
            Part(STORES, program=("tests.matrix.stepping",)),
        ),
    ),
    Layer(
        "stores",
        "what is on the disk, broken batches, pruning, waiting, several processes on one file",
        (
            Part(
                ("adapters/sqlite/tenure_sqlite/known.py",),
                _stores("sqlite_processes", "sqlite_trouble"),
            ),
            Part(("adapters/sqlite/tenure_sqlite/trouble.py",), _stores("sqlite_trouble")),
            Part(SESSION_ROWS, _stores("session_sqlite")),
            Part(CONTENTS, _stores("contents_sqlite", "contents_trouble", "contents_opening")),
            Part(
                STORES,
                _stores(
                    "sqlite_durable",
                    "broken_batches",
                    "sqlite_pruning",
                    "sqlite_waiting",
                ),
            ),
        ),
    ),
    Layer(
        "crashes",
        "a process that dies, or a database that fails, at every statement of SQLite's store",
        (
            Part(("adapters/sqlite/tenure_sqlite/trouble.py",), program=("tests.matrix.crashed", "errors")),
            Part(COMMITS, program=("tests.matrix.crashed", "deaths")),
        ),
    ),
    Layer(
        "turn",
        "the driver's body and its batches, in virtual time and without a thread",
        (
            Part(REBUILT, _adapters("turn_openings")),
            Part(DRIVER, _adapters("known_bugs_of_drivers", "turn", "turn_waiting", "batches", "clients")),
        ),
    ),
    Layer(
        "simulation",
        "fleets of drivers in virtual time under seeded faults, 40 seeds",
        (Part((*ATTEMPTS, *WORKERS, *DRIVER), program=("tests.matrix.simulated",)),),
    ),
    Layer(
        "loops",
        "handlers and clients on asyncio, trio and in threads, in real time",
        (
            Part(REBUILT, _adapters("rebuilding", "services_on_loops")),
            Part(EFFECTS, _adapters("effects_recovered")),
            Part(EVENTS, _adapters("events_on_loops")),
            Part(DIRECT, _adapters("direct_on_loops", "direct_programs", "direct_requests")),
            Part(
                DRIVER,
                _adapters(
                    "handlers",
                    "threads_of_handlers",
                    "opening",
                    "trouble",
                    "leaving",
                    "blocking",
                    "calls_on_loops",
                ),
            ),
        ),
    ),
    Layer(
        "behaviour",
        "each behaviour of the original (B1 to B22), and each of its mistakes (W1 to W10), as a scenario",
        (Part((*REBUILT, *DIRECT), tuple(f"tests/behaviour/test_{name}.py" for name in _BEHAVIOURS)),),
    ),
)

SECONDS = 300
"""More than that a layer never takes, however busy the machine is."""
