"""Which lab a command means. Tests: tests/unit/cli/test_cli_errors.py."""

from __future__ import annotations

from ovine.lab.errors import LabError
from ovine.lab.lab import Lab
from ovine.lab.spec import labs_directory
from ovine.lab.store import all_labs


def choose(name: str) -> Lab:
    """The lab of that name; without a name, the only one."""
    names = [path.name for path in all_labs()]
    if not names:
        raise LabError("no lab is up: `ovine lab up` starts one")
    if name:
        if name not in names:
            raise LabError(f"no lab {name}: up are {', '.join(names)}")
        return Lab.open(labs_directory() / name)
    if len(names) > 1:
        raise LabError(f"several labs are up ({', '.join(names)}): choose one with --lab")
    return Lab.open(labs_directory() / names[0])
