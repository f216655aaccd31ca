"""Finds the programs of the test servers, and installs them where apt-get can do it unasked."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Asked by Debian's packages before they start a service; 101 means "do not".
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
_LOCK = Path(tempfile.gettempdir(), f"gateway-tests-{os.getuid()}.lock")


class ServerMissingError(Exception):
    """A server of the tests is neither installed nor installable from here."""


def postgres_programs() -> Path:
    """The folder of initdb, postgres and psql."""
    return _find_or_install(_find_postgres_programs, package="postgresql", name="PostgreSQL")


def rabbitmq_server() -> Path:
    return _find_or_install(_find_rabbitmq_server, package="rabbitmq-server", name="RabbitMQ")


def pgbouncer_program() -> Path:
    return _find_or_install(_find_pgbouncer, package="pgbouncer", name="pgbouncer")


def libfaketime() -> Path:
    """The library that tells a process another time, for LD_PRELOAD; the one for programs with threads."""
    return _find_or_install(_find_libfaketime, package="libfaketime", name="libfaketime")


def chromium() -> Path:
    """A browser that needs no screen."""
    return _find_or_install(_find_chromium, package="chromium", name="Chromium")


def _find_chromium() -> Path | None:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


def _find_postgres_programs() -> Path | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    in_path = shutil.which("initdb")
    found = Path(in_path).resolve() if in_path else next(reversed(debian), None)
    return found.parent if found else None


def _find_rabbitmq_server() -> Path | None:
    # Debian's command of the same name in PATH is a wrapper that insists on the system's user, folders and log.
    debian = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    found = debian if debian.exists() else shutil.which("rabbitmq-server")
    return Path(found) if found else None


def _find_pgbouncer() -> Path | None:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return Path(found) if found else None


def _find_libfaketime() -> Path | None:
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def _find_or_install(find: Callable[[], Path | None], *, package: str, name: str) -> Path:
    with _one_at_a_time():
        found = find()
        if found is None:
            _apt_install(package, name)
            found = find()
    if found is None:
        raise ServerMissingError(f"{name} is missing although the package {package} is installed.")
    return found


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Tests run in several processes, which miss the same things at the same time."""
    with _LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_install(package: str, name: str) -> None:
    as_root = _root_prefix()
    if as_root is None:
        raise ServerMissingError(
            f"The tests need {name} and cannot install it here: install it (package {package}), "
            "or set GATEWAY_TEST_SERVICES=skip to leave its tests out.",
        )
    print(f"\nInstalling {package} for the tests", flush=True)
    apt_get = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    _run([*apt_get, "update"])
    with _no_services_started(as_root):
        _run([*apt_get, "install", "-y", "--no-install-recommends", package])


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise ServerMissingError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")


def _root_prefix() -> list[str] | None:
    """What to put before a command to run it as root; None where apt-get or the rights are missing."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], check=False, capture_output=True).returncode == 0
    return sudo if allowed else None


@contextmanager
def _no_services_started(as_root: list[str]) -> Iterator[None]:
    if _SERVICE_POLICY.exists():
        yield
        return
    refusal = b"#!/bin/sh\nexit 101\n"
    subprocess.run([*as_root, "install", "-m", "755", "/dev/stdin", _SERVICE_POLICY], input=refusal, check=True)
    try:
        yield
    finally:
        subprocess.run([*as_root, "rm", _SERVICE_POLICY], check=True)
