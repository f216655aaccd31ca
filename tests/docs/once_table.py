"""The enqueue-once table as people read it, made from the one that the gateway decides by."""

from gateway.core.once import TABLE, Hold, Holder, Verdict

_ROWS = {
    Holder.NONE: "none: the key is free",
    Holder.WAITING: "waiting",
    Holder.RUNNING: "running",
    Holder.RETRYING: "retrying",
    Holder.CANCELLING: "being cancelled",
    Holder.SUCCEEDED: "succeeded",
    Holder.ENDED: "failed, cancelled, superseded",
}
_COLUMNS = {"`until: started`": Hold.STARTED, "`until: finished`": Hold.FINISHED, "no `once`": Hold.NONE}
_WORDS = {
    Verdict.NEW: "new",
    Verdict.MERGE: "merged into H",
    Verdict.BEHIND: "new, behind H",
    Verdict.SUPERSEDE: "new, takes over from H",
    Verdict.DUPLICATE: "duplicate of H",
}


def once_table() -> str:
    """A row for each thing that the run which holds the key may be doing."""
    started, finished, without = _COLUMNS
    head = f"| H is | {started} | {finished} | `until: 1h` (a duration) | {without} |"
    return "\n".join([head, "|---|---|---|---|---|", *map(_row, TABLE)])


def _row(holder: Holder) -> str:
    said = {hold: _WORDS[verdict] for hold, verdict in TABLE[holder].items()}
    meanwhile, later = said[Hold.DURATION], said[Hold.DURATION_OVER]
    duration = meanwhile if meanwhile == later else f"{meanwhile} until that is over, then {later}"
    started, finished, without = (said[hold] for hold in _COLUMNS.values())
    return f"| {_ROWS[holder]} | {started} | {finished} | {duration} | {without} |"
