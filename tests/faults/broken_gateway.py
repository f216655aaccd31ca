"""The real gateway with something wrong: `python -m tests.faults.broken_gateway WHAT[,WHAT…] serve -c …`.

WHAT is the name of a mutation, `die:` or `freeze:` with a failpoint.
"""

import sys

from tests.faults.failpoints import die_at, freeze_at
from tests.faults.mutations import MUTATIONS, mutate

_POINTS = {"die": die_at, "freeze": freeze_at}


def main() -> None:
    wrong = sys.argv.pop(1).split(",")
    mutate([name for name in wrong if name in MUTATIONS])
    for name in wrong:
        if name not in MUTATIONS:
            verb, _, point = name.partition(":")
            _POINTS[verb](point)
    from gateway.cli import main as gateway  # noqa: PLC0415 - only now, with its defects

    gateway(prog_name="gateway")


if __name__ == "__main__":
    main()
