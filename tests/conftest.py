"""The servers of the tests: started when the first test asks, stopped when the session ends, however it ends."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers import install
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgreSQL
from tests.servers.rabbitmq import RabbitMQ

_FIND_OR_INSTALL = {
    "postgres": install.postgres_programs,
    "rabbitmq": install.rabbitmq_server,
    "pgbouncer": install.pgbouncer_program,
    "faketime": install.libfaketime,
    "browser": install.chromium,
}
_LEAVE_OUT = os.environ.get("GATEWAY_TEST_SERVICES") == "skip"
_LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    with closing(PostgreSQL()) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: PostgreSQL) -> Iterator[PgBouncer]:
    with closing(PgBouncer(postgres.port)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    with closing(RabbitMQ()) as server:
        server.start()
        yield server


@pytest.fixture
def postgres_url(postgres: PostgreSQL) -> Iterator[str]:
    """A fresh, empty database. A test may stop or kill the server under it."""
    postgres.start()
    name = f"test_{uuid4().hex}"
    yield postgres.create_database(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def pytest_sessionstart() -> None:
    # A terminated session ends as an interrupted one does: with its servers stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for server in _FIND_OR_INSTALL:
            if server in getattr(item, "fixturenames", ()):
                item.add_marker(server)
        if _LEAVE_OUT and _servers_of(item):
            item.add_marker(pytest.mark.skip(reason="GATEWAY_TEST_SERVICES=skip"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install here what is missing: within a test it would count against the test's time-out."""
    session.config.stash[_LEFT_OUT] = sum(_LEAVE_OUT for item in session.items if _servers_of(item))
    if _LEAVE_OUT or session.config.option.collectonly:
        return
    for server in sorted({server for item in session.items for server in _servers_of(item)}):
        try:
            _FIND_OR_INSTALL[server]()
        except install.ServerMissingError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{left_out} tests that need PostgreSQL, RabbitMQ or a browser were left out: GATEWAY_TEST_SERVICES=skip",
            red=True,
        )


def _servers_of(item: pytest.Item) -> list[str]:
    return [server for server in _FIND_OR_INSTALL if item.get_closest_marker(server)]
