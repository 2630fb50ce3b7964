"""ACL logs of our daemons and Debian's, in each combination: the same lines for the same packets."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

from ovine.lab import Flavour, Lab
from support.packet_cases import read, running

CASE = read(Path(__file__).parents[1] / "cases/controller/services/acl_log.txt")
FLAVOURS: tuple[Flavour, ...] = ("ovine", "c")
SENDS = [step for step in CASE.steps if step.words[0] == "send"]


def logged(lab: Lab) -> list[str]:
    """The lines of h1's controller, without time and thread."""
    deadline = time.monotonic() + 10
    while True:
        text = lab.processes.log("h1-controller").read_text()
        found = re.findall(r"\|acl_log(?:\(\w+\))?\|(.*)$", text, re.M)
        if len(found) >= len(SENDS) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_lines_are_theirs(lab_machine: None) -> None:
    found = {}
    for northd, controller in itertools.product(FLAVOURS, FLAVOURS):
        with Lab(northd=northd, controllers=(controller,), api=False) as lab, running(lab, CASE):
            found[northd, controller] = logged(lab)
    assert len(found["c", "c"]) == len(SENDS)
    for combination, lines in found.items():
        assert lines == found["c", "c"], combination
