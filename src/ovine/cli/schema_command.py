"""`ovine schema`: the declared databases as .ovsschema files. Tests: tests/unit/cli/test_cli_errors.py."""

from __future__ import annotations

import json

from ovine.lab.errors import LabError

NAMES = ("cloud", "nb", "sb", "vs")


def show(name: str) -> None:
    from importlib import import_module

    from ovine.model.schema import to_json

    if name not in NAMES:
        raise LabError(f"no schema {name}: there are {', '.join(NAMES)}")
    print(json.dumps(to_json(import_module(f"ovine.model.{name}").DATABASE), indent=2))
