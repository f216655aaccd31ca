"""`gateway migrate`."""

import fcntl
from pathlib import Path

from tests.cli.conftest import Run


def test_the_second_time_there_is_nothing_to_do(gateway: Run, config: Path) -> None:
    first, second = gateway("migrate"), gateway("migrate")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "has been migrated" in first.stdout
    assert "up to date" in second.stdout


def test_the_database_of_a_running_gateway_is_left_alone(gateway: Run, config: Path) -> None:
    with Path("gateway.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = gateway("migrate")

    assert result.exit_code == 2
    assert "belongs to a gateway that is running" in result.stderr
