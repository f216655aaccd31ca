"""The log of a run as people read it: harmless lines under a heading for each attempt."""

from collections.abc import Mapping
from typing import Any

from gateway.core.printable import one_line


def heading(attempt: Mapping[str, Any]) -> str:
    """What is known of an attempt, on a line of its own; times are texts."""
    words = [f"attempt {attempt['number']}"]
    if attempt["node"]:
        words.append(f"on {attempt['node']}")
    words.append(f"from {attempt['started_at']}")
    if attempt["outcome"]:
        words.append(f"to {attempt['finished_at']}: {outcome(attempt)}")
    return one_line(f"== {' '.join(words)}")


def outcome(attempt: Mapping[str, Any]) -> str:
    """How an attempt ended."""
    status = "" if attempt["status"] is None else f", status {attempt['status']}"
    return f"{attempt['outcome']}{status}" + (f": {attempt['reason']}" if attempt["reason"] else "")


def log_line(text: str) -> str:
    """As `one_line`, but for tabs."""
    return "\t".join(map(one_line, text.split("\t")))
