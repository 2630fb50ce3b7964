"""Our daemons take the places of Debian's in a running routed cloud, one by one, and give them back.

bench/takeover_losses.py does the same and counts; here, nothing may be lost in either direction, and all must work
after each step.
"""

from __future__ import annotations

from ovine.lab import Lab
from takeover_losses import Step, take_over_and_back


def test_taking_over_from_debians_daemons_and_going_back_lose_nothing(lab_machine: None) -> None:
    with Lab(northd="c", controllers=["c", "c", "c"]) as lab:
        audits: dict[str, list[str]] = {}

        def audit(step: Step) -> None:
            audits[f"{step.what} {step.to}"] = lab.audit()

        found = take_over_and_back(lab, audit)
    assert len(found) == 8
    assert {name: lines for name, lines in audits.items() if lines} == {}
    assert all(sent > 10 for step in found for sent in step.sent.values())
    assert [step for step in found if any(step.lost.values())] == []
