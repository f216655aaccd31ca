"""Every test of the store runs on both databases: one of each kind for the session, emptied before each test."""

from collections.abc import AsyncIterator

import pytest

from tests.servers.postgres import PostgreSQL
from tests.store.clockwork import Clockwork, wind_up
from tests.store.scene import Scene, opened


@pytest.fixture(scope="session")
def kept_sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/gateway.db"


@pytest.fixture(scope="session")
def kept_postgres_url(postgres: PostgreSQL) -> str:
    return postgres.create_database("kept")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kept_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without a row in it."""
    url: str = request.getfixturevalue(f"kept_{request.param}_url")
    return url


@pytest.fixture
async def scene(kept_url: str) -> AsyncIterator[Scene]:
    async with opened(kept_url, empty=True) as scene:
        yield scene


@pytest.fixture
async def postgres_scene(kept_postgres_url: str) -> AsyncIterator[Scene]:
    """For what needs several nodes."""
    async with opened(kept_postgres_url, empty=True) as scene:
        yield scene


@pytest.fixture
async def clockwork(scene: Scene) -> Clockwork:
    """The node of `scene` leads the clock."""
    return await wind_up(scene)
