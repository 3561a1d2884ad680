"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from tenure.errors import InvalidValue, StoreUnusable

F = TypeVar("F", bound=Callable[..., Any])


def lasting(url: str) -> str:
    """The URL. Raises InvalidValue for a store in memory: it would end with this command, and with all that is in it,
    and no other program could see it."""
    if url.startswith("memory:"):
        raise InvalidValue(
            "a store in memory is lost when the command ends, and no other program sees it; name a file, such as "
            "sqlite:///jobs.db"
        )
    return url


def store_option(command: F) -> F:
    """`--store URL`, or TENURE_STORE in the environment; a store that other programs see."""

    def checked(ctx: click.Context, param: click.Parameter, url: str) -> str:
        return lasting(url)

    return click.option(
        "--store",
        "url",
        metavar="URL",
        envvar="TENURE_STORE",
        show_envvar=True,
        required=True,
        callback=checked,
        help="The store, such as sqlite:///jobs.db.",
    )(command)


def json_option(command: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON value instead.")(command)


def id_argument(command: F) -> F:
    """The process's id."""
    return click.argument("process_id", metavar="ID")(command)


def file_of(url: str) -> Path | None:
    """The file of a SQLite URL, None for another store. Raises InvalidValue for a bad one."""
    from tenure_sqlite.location import PREFIX, path_of

    return path_of(url) if url.startswith(PREFIX) else None


def must_exist(url: str) -> str:
    """The URL. Raises StoreUnusable for a file that is not there: a misspelt name must not make an empty store, in
    which nothing is ever found."""
    path = file_of(url)
    if path is not None and not path.exists():
        raise StoreUnusable(
            f"there is no file {path}; `tenure start` and `tenure worker` make one where the name is right"
        )
    return url


def shown(url: str) -> str:
    """The URL as it may be printed: without a password."""
    try:
        parts = urlsplit(url)
        secret = parts.password
    except ValueError:
        return url
    return url.replace(f":{secret}@", ":***@") if secret else url
