"""From `module:app` on the command line to the application."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from types import ModuleType

import click

from tenure.app import App
from tenure.plugins import Plugin


def load_app(path: str) -> App | Plugin:
    """The application, or plugin, that `module:attribute` names; the working directory is searched first.

    Raises click.UsageError, in one sentence, for a path that is none, a module that does not exist or cannot be
    imported, and an attribute that is missing, no application, or one without handlers.
    """
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        raise click.UsageError(
            f"{path!r} names no application; write module:app, such as shop.work:app for `app` in shop/work.py"
        )
    here = os.getcwd()  # noqa: PTH109 - what goes to sys.path is a string
    if here not in sys.path:
        sys.path.insert(0, here)
    found: object = _imported(module_name, here)
    for step in attribute.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            apps = _apps_of(found)
            hint = f"; it has the application {apps[0]!r}" if apps else ""
            raise click.UsageError(f"module {module_name!r} has no {attribute!r}{hint}") from None
    if not isinstance(found, App | Plugin):
        kind = type(found).__name__
        raise click.UsageError(f"{path} is of type {kind}, and neither a tenure.App nor a tenure.Plugin")
    if not found.kinds:
        raise click.UsageError(
            f"the application {path} has no handlers; add one with @{attribute}.process('kind')"
        )
    return found


def _imported(name: str, here: str) -> object:
    try:
        return import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.UsageError(
                f"there is no module {name!r}: neither in {here} nor among what is installed"
            ) from error
        raise click.UsageError(f"module {name!r} could not be imported: {_said(error)}") from error
    except BaseException as error:  # it is the user's module: it may even call sys.exit
        raise click.UsageError(f"module {name!r} could not be imported: {_said(error)}") from error


def _said(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({where[0].filename}, line {where[0].lineno})" if where else ""
    if isinstance(error, SyntaxError):
        place = ""  # its own words say where
    return f"{type(error).__name__}: {error}{place}"


def _apps_of(found: object) -> list[str]:
    members = vars(found) if isinstance(found, ModuleType) else {}
    return sorted(name for name, value in members.items() if isinstance(value, App))
