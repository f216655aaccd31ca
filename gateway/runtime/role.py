"""Roles: which of the gateway's work a process does."""

from enum import StrEnum


class Role(StrEnum):
    """What others do not do, nobody does; by default a process has all of them."""

    WEB = "web"
    """Hooks and API."""
    WORKER = "worker"
    """Carries out runs."""
    SCHEDULER = "scheduler"
    """Makes the ticks of schedules, while it leads."""
