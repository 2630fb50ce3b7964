"""The `ovine` command. This module is what every start of it pays for, daemons included: it imports next to nothing.

The daemons take their own command lines, whose rules are those of the OVN programs they stand in for; they are handed
over before anything else is parsed. Exit codes: 0 done, 1 it could not be done (one line says why), 2 a wrong command
line, 130 interrupted. Tests: tests/unit/cli/.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

DAEMONS = ("northd", "controller", "plugin", "api", "metadata")
STANDS_IN_FOR = {"ovn-northd": "northd", "ovn-controller": "controller"}
"""Called by one of these names (a link to `ovine`), the command is that daemon."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line (without the program's name; sys.argv if None) and returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    called = sys.argv[0].rpartition("/")[2]
    if argv is None and called in STANDS_IN_FOR:
        return run_daemon(STANDS_IN_FOR[called], arguments, called)
    if arguments and arguments[0] in DAEMONS:
        return run_daemon(arguments[0], arguments[1:])
    from ovine.cli.app import run

    return run(arguments)


def run_daemon(name: str, arguments: Sequence[str], program: str | None = None) -> int:
    """Hands a command line over to a daemon; `program` is the name that it was called by, if that is its own."""
    from importlib import import_module

    daemon = import_module(f"ovine.daemons.{name}")
    return int(daemon.main(list(arguments), program))


if __name__ == "__main__":
    sys.exit(main())
