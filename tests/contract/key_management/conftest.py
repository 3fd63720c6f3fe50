from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from quantumai.keys.providers.port import KeyProvider
from quantumai.storage.sql_database import open_postgres
from tests.kms_world import (
    POSTGRES,
    WORLDS,
    World,
    open_provider,
    open_world,
    postgres_databases,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole suite takes a minute and more: `make check` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[Callable[[], str]]:
    with postgres_databases() as new:
        yield new


@pytest.fixture(scope="module", params=WORLDS)
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, KeyProvider]]:
    with open_provider(request.param, tmp_path_factory.mktemp("provider")) as keys:
        yield request.param, keys


@pytest.fixture
def world(
    provider: tuple[str, KeyProvider], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    kind, keys = provider
    opener = None
    if kind == POSTGRES:
        opener = partial(open_postgres, request.getfixturevalue("new_postgres")())
    with open_world(kind, keys, tmp_path, open_database=opener) as opened:
        yield opened
