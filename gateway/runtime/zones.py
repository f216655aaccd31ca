"""What time zones mean on this machine: when their rules change, what was worked out with the old ones is void."""

import zoneinfo
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path


@cache
def rules(zone: str) -> str:
    """A hash of the rules of a zone, as they are on disk; of its name alone where they cannot be found."""
    for folder in zoneinfo.TZPATH:
        with suppress(OSError):
            return _hash(Path(folder, *zone.split("/")).read_bytes())
    with suppress(OSError, ModuleNotFoundError):
        return _hash(files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes())
    return _hash(zone.encode())


def forget() -> None:
    """Has all zones read anew by whoever names them next."""
    rules.cache_clear()
    zoneinfo.ZoneInfo.clear_cache()


def _hash(raw: bytes) -> str:
    return sha256(raw).hexdigest()
