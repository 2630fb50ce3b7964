"""Every command explains itself: a sentence and an example that starts with the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from ovine.cli.app import app
from ovine.cli.main import DAEMONS


def commands(group: Any, path: tuple[str, ...] = ("ovine",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


TREE = dict(commands(typer.main.get_command(app)))


def test_the_tree_holds_what_the_documentation_speaks_of() -> None:
    named = {" ".join(path[1:]) for path in TREE}
    lab = {
        "lab up",
        "lab down",
        "lab list",
        "boot",
        "delete",
        "exec",
        "ssh",
        "ping",
        "status",
        "trace",
        "schema",
        "demo",
    }
    assert named == lab | set(DAEMONS)


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_the_help_of_each_command_ends_with_an_example_of_it(path: tuple[str, ...]) -> None:
    text = TREE[path].help
    summary, _, rest = text.partition("\n")
    assert summary.endswith(".")
    lines = rest.split("Example:\n")[1].splitlines()
    assert lines
    assert all(line.strip().startswith(" ".join(path)) for line in lines)


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_each_option_and_argument_has_a_help_text(path: tuple[str, ...]) -> None:
    assert all(parameter.help for parameter in TREE[path].params if parameter.name != "help")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a run of the command has imported when it ends."""
    code = (
        "import sys\nfrom ovine.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].removeprefix("MODULES ").split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["lab", "--help"], ["boot", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"rich", "asyncio", "msgspec", "orjson", "httpx", "pyroute2", "starlette", "neutron_lib"}
    ours = {"ovine.lab", "ovine.model", "ovine.ovsdb", "ovine.engine", "ovine.daemons", "ovine.api"}
    assert loaded_by(*arguments) & (heavy | ours) == set()


def test_a_daemon_is_handed_its_line_without_the_command_tree() -> None:
    loaded = loaded_by("plugin", "--version")
    assert "ovine.daemons.plugin" in loaded
    assert loaded & {"typer", "rich", "ovine.cli.app"} == set()
