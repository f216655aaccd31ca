"""What to try first with a gateway that has just been started."""

import shlex
import shutil
import sys
from pathlib import Path

from gateway.cli.failure import Failure
from gateway.cli.posting import prepare
from gateway.config import Loaded
from gateway.log import secrets_in


def invitation(loaded: Loaded, config_file: Path) -> list[str]:
    """The lines that send the sample of the first source that has one: `gateway send`, and the same with curl.

    Without the latter where it would show a secret, and nothing at all where there is no such source.
    """
    for source in loaded.config.sources:
        try:
            posting = prepare(loaded, source)
        except Failure:
            continue
        secrets = list(secrets_in(loaded.config.sources[source]))
        shows_secret = any(secret in value for secret in secrets for value in posting.headers.values())
        return [_send(source, config_file), *([] if shows_secret else [posting.curl()])]
    return []


def _send(source: str, config_file: Path) -> str:
    where = [] if config_file == Path("config.yaml") else ["-c", str(config_file)]
    return shlex.join([*_program(), "send", source, *where])


def _program() -> list[str]:
    """This program, as it can be called again where its environment is not activated."""
    if shutil.which("gateway"):
        return ["gateway"]
    return ["python", "-m", "gateway"] if Path(sys.argv[0]).name == "__main__.py" else [sys.argv[0]]
