"""The stores that a world is played on."""

from __future__ import annotations

from pathlib import Path

import pytest

STORES = ("memory:", "sqlite:///{}/played.db")


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path)
