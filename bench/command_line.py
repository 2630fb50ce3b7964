"""The command line that benches share, and where their figures go.

A bench says what it measures in its module docstring, which is its `--help`. Those that compare take `--stacks`:
"ovine" has our northd and controllers, "c" Debian's. `--json` and `--page` write files, `--check` turns a missed target
into exit status 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

JSON = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
STACKS = ("ovine", "c")
TITLES = {"ovine": "Ovine", "c": "Debian's OVN"}
"""What pages call the stacks."""


def parser(doc: str | None, check: str = "") -> argparse.ArgumentParser:
    """A parser with `--json`, and `--check` if it is said what that fails for; the bench adds its own options."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write the figures to a file as well")
    if check:
        made.add_argument("--check", action="store_true", help=f"end with status 1 {check}")
    return made


def add_stacks(
    to: argparse.ArgumentParser, choices: Iterable[str] = STACKS, default: Iterable[str] = STACKS
) -> argparse.ArgumentParser:
    """Lets the caller choose whose daemons are measured, one stack after the other."""
    to.add_argument("--stacks", nargs="+", choices=sorted(choices), default=list(default), help="whose daemons")
    return to


def add_page(to: argparse.ArgumentParser, page: str) -> argparse.ArgumentParser:
    """Lets the caller have the table written that stands in a page of docs/."""
    to.add_argument("--page", type=Path, help=f"write the table of docs/{page} to a file")
    return to


def publish(asked: argparse.Namespace, figures: Any, table: str | None = None) -> None:
    """Prints the table; writes it and the figures (values of JSON, dataclasses) to the files that were asked for."""
    if table is not None:
        print("\n" + table)
        if asked.page:
            asked.page.write_text(table)
    if asked.json:
        asked.json.write_bytes(orjson.dumps(figures, option=JSON))
